import Bytes
import ChannelLayers
import GatewayConfig
import JSON
import Routing
import Sessions
import WebSocketCore

/// The events that a request of `protocol: grip` asks to publish: in this order, and all of them or, if there is a mistake, none.
///
/// Its body is what pushpin takes at `/publish/`: `{"items": [{"channel": "...", "ws-message": {"content": "..."}}]}`, with the formats in
/// the item or in its `formats`. Sources: pushpin.org/docs/usage, and what pushpin 1.36 reads.
struct GripRequest: Sendable {
  private(set) var events: [GroupEvent] = []
  /// Why items were passed over: a few sentences for the log.
  private(set) var passedOver: [String] = []

  /// - Parameter mayName: whether the route allows the group.
  init(_ body: [UInt8], mayName: (String) -> Bool) throws(PublishRefusal) {
    let request = try RequestObject(body, what: "the request")
    guard let items = try request.list("items") else {
      throw PublishRefusal(malformed: "the request has no \"items\"")
    }
    guard items.count <= PublishRequest.mostEvents else {
      throw PublishRefusal(
        .publishTooLarge, "a request can have at most \(PublishRequest.mostEvents) items")
    }
    for (number, range) in items.enumerated() {
      let what = "item \(number + 1)"
      let item = try request.object(range, what: what)
      let channel = try Self.channel(item, mayName)
      let formats = item.value("formats") == nil ? item : try item.object(item.value("formats"), what: what)
      guard let range = formats.value("ws-message") else {
        passOver(try Self.withoutMessage(formats))
        continue
      }
      try add(try item.object(range, what: "\"ws-message\" of \(what)"), to: channel)
    }
  }

  private static func channel(
    _ item: RequestObject, _ mayName: (String) -> Bool
  ) throws(PublishRefusal) -> String {
    guard let channel = try item.string("channel") else {
      throw PublishRefusal(malformed: "\(item.what) needs a \"channel\"")
    }
    try PublishRequest.check(group: channel, mayName)
    return channel
  }

  /// What is said of an item that has nothing for a WebSocket.
  private static func withoutMessage(_ formats: RequestObject) throws(PublishRefusal) -> String {
    let known = ["http-response", "http-stream"].filter { formats.value($0) != nil }
    guard !known.isEmpty else { throw PublishRefusal(malformed: "\(formats.what) has no format") }
    return
      "an item has no \"ws-message\", and Sluice does not deliver \"\(known.joined(separator: "\", \""))\""
  }

  private mutating func passOver(_ what: String) {
    guard passedOver.count < 4, !passedOver.contains(what) else { return }
    passedOver.append(what)
  }
}

// MARK: - Messages

extension GripRequest {
  private mutating func add(_ message: RequestObject, to channel: String) throws(PublishRefusal) {
    // They are those of subscriptions, and no subscription here has any.
    if let filters = try message.list("content-filters"), !filters.isEmpty {
      return passOver("a message has \"content-filters\", and no subscription has")
    }
    let action = try message.string("action") ?? "send"
    switch action {
    case "send":
      guard let event = try Self.message(message) else {
        return passOver("a message is a ping or a pong, and Sluice sends its own")
      }
      events.append(GroupEvent(event, to: channel))
    case "close": events.append(GroupEvent(try Self.closing(message), to: channel))
    // For clients of HTTP, which look again for themselves.
    case "hint": break
    default:
      throw PublishRefusal(
        unknown: "action", action, in: message.what, known: ["send", "close", "hint"])
    }
  }

  /// Text for `content`, bytes for `content-bin`, unless `type` says otherwise. Nil for a ping or a pong.
  private static func message(_ message: RequestObject) throws(PublishRefusal) -> Event? {
    let type = try message.string("type")
    guard type != "ping", type != "pong" else { return nil }
    guard type == nil || type == "text" || type == "binary" else {
      throw PublishRefusal(
        unknown: "type", type ?? "", in: message.what, known: ["text", "binary", "ping", "pong"])
    }
    let content: [UInt8]
    let isText: Bool
    if let encoded = try message.string("content-bin") {
      guard let bytes = Base64.decode(Array(encoded.utf8)) else {
        throw PublishRefusal(
          malformed: "\"content-bin\" in \(message.what) must be base64 (RFC 4648 section 4)")
      }
      (content, isText) = (bytes, type == "text")
    } else if let text = try message.string("content") {
      (content, isText) = (Array(text.utf8), type != "binary")
    } else {
      throw PublishRefusal(malformed: "\(message.what) needs a \"content\" or a \"content-bin\"")
    }
    guard isText else {
      return Event(type: "broadcast.message", fields: [.init("bytes", .bytes(content))])
    }
    guard String(validating: content, as: UTF8.self) != nil else {
      throw PublishRefusal(malformed: "\"content-bin\" in \(message.what) is text that is not UTF-8")
    }
    return Event(type: "broadcast.message", fields: [.init("text", .text(content))])
  }

  /// A code of 0 is that of a client library whose caller gave none.
  private static func closing(_ message: RequestObject) throws(PublishRefusal) -> Event {
    var code: UInt16 = 1000
    switch message.value("code").map(message.json) {
    case nil, .null?, .integer(0)?: break
    case .integer(let number)?:
      guard let short = UInt16(exactly: number), CloseCode(rawValue: short).isValidOnWire else {
        throw PublishRefusal(malformed: "\"code\" in \(message.what) is not a close code that may be sent")
      }
      code = short
    default: throw PublishRefusal(malformed: "\"code\" in \(message.what) must be a number")
    }
    let reason = try message.string("reason") ?? ""
    return Event(
      type: "websocket.close",
      fields: [
        .init("code", .json(.integer(Int64(code)))), .init("reason", .text(Array(reason.utf8))),
      ])
  }
}
