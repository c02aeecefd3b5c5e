import Bytes
import JSON

/// A control message of GRIP: text behind `c:` that a back end sends to the proxy and not to the client.
///
/// Source: pushpin.org/docs/protocols/grip, and what pushpin 1.36 makes of each.
enum GripControl: Sendable, Equatable {
  case subscribe(String)
  case unsubscribe(String)
  /// Sluice does not do it, and nobody gets less, or more, because of that. The sentence is for the log.
  case passedOver(String)

  /// Why a message cannot be obeyed: a sentence without a full stop.
  struct Fault: Error, Sendable, Equatable {
    var message: String
  }

  /// - Parameter text: without `c:`.
  init(_ text: ArraySlice<UInt8>) throws(Fault) {
    let message: JSON
    do throws(JSONFault) {
      message = try JSON.parse(Array(text).rawBytes, depth: 8, values: 256, strings: .compared)
    } catch {
      throw Fault(message: "a control message is \(error)")
    }
    guard let type = message["type"]?.string else {
      throw Fault(message: "a control message has no \"type\"")
    }
    switch type {
    case "subscribe": self = .subscribe(try Self.channelToJoin(message))
    case "unsubscribe": self = .unsubscribe(try Self.channel(message))
    case "set-meta", "session":
      // Only filters and reliable publishing use it, and a subscription with a filter is refused.
      self = .passedOver("\"\(type)\" is not supported")
    case "keep-alive":
      self = .passedOver(
        "\"keep-alive\" is not supported: Sluice sends pings of its own (limits.ping), and no message")
    case "detach", "send-delayed", "flush-delayed":
      throw Fault(message: "the control message \"\(type)\" is not supported")
    default:
      let shown = String(decoding: type.utf8.prefix(40), as: UTF8.self)
      throw Fault(message: "there is no control message \"\(shown)\"")
    }
  }

  private static func channel(_ message: JSON) throws(Fault) -> String {
    guard let channel = message["channel"]?.string, !channel.isEmpty else {
      throw Fault(message: "a control message names no \"channel\"")
    }
    return channel
  }

  /// A filter keeps messages from some of those who have subscribed. Without it they would get what is not for them.
  private static func channelToJoin(_ message: JSON) throws(Fault) -> String {
    switch message["filters"] {
    case nil, .null?, .array([])?: return try channel(message)
    default: throw Fault(message: "\"filters\" of \"subscribe\" are not supported")
    }
  }
}
