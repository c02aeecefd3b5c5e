import Bytes
package import ChannelLayers
import GatewayConfig
import JSON
import Routing

extension RequestObject {
  /// The members of which one is what is published.
  package static let eventContents = ["event", "message", "text", "bytes"]

  /// What an object asks to publish.
  ///
  /// - Parameter mayBeWhole: whether whole events are allowed, with any type and any fields.
  package func event(mayBeWhole: Bool) throws(PublishRefusal) -> Event {
    switch try only(of: Self.eventContents) {
    case ("event", let value)?:
      guard mayBeWhole else {
        throw PublishRefusal(
          .publishNotAllowed,
          "this route takes \"message\", \"text\" or \"bytes\" from you, not an \"event\": \"events\" is not in its \"allow\""
        )
      }
      return try object(value, what: "the event of \(what)").wholeEvent()
    case ("message", let value)?:
      return Event(type: "chat.message", fields: [.init("message", .encodedJSON(bytes(value)))])
    case ("text", _)?:
      let text = try string("text") ?? ""
      return Event(type: "broadcast.message", fields: [.init("text", .text(Array(text.utf8)))])
    case ("bytes", _)?:
      return Event(type: "broadcast.message", fields: [.init("bytes", .bytes(try base64("bytes")))])
    default:
      throw PublishRefusal(
        malformed: "\(what) needs an \"event\", or a \"message\", \"text\" or \"bytes\"")
    }
  }

  /// The one of some members that is there; nil without any.
  package func only(of names: [String]) throws(PublishRefusal) -> (name: String, value: Range<Int>)? {
    var found: (name: String, value: Range<Int>)?
    for name in names {
      guard let value = value(name) else { continue }
      if let found {
        throw PublishRefusal(malformed: "\(what) can have \"\(found.name)\" or \"\(name)\", not both")
      }
      found = (name, value)
    }
    return found
  }

  package func base64(_ key: String) throws(PublishRefusal) -> [UInt8] {
    guard let text = try string(key), let bytes = Base64.decode(Array(text.utf8)) else {
      throw PublishRefusal(malformed: "\"\(key)\" in \(what) must be base64 (RFC 4648 section 4)")
    }
    return bytes
  }

  /// - Returns: false without the member.
  package func isTrue(_ key: String) throws(PublishRefusal) -> Bool {
    guard let range = value(key) else { return false }
    guard case .bool(let value) = json(range) else {
      throw PublishRefusal(malformed: "\"\(key)\" in \(what) must be true or false")
    }
    return value
  }

  private func wholeEvent() throws(PublishRefusal) -> Event {
    guard let type = try string("type") else {
      throw PublishRefusal(malformed: "\(what) needs a \"type\"")
    }
    try Self.check(type: type)
    var event = Event(type: type)
    for (name, range) in members where name != "type" {
      // channels_redis writes the receiving channels of a message beside its fields.
      guard !name.isEmpty, !name.hasPrefix("__"), name.utf8.count <= 255 else {
        throw PublishRefusal(malformed: "an event cannot have a field called \"\(Self.shown(name))\"")
      }
      event.fields.append(.init(name, eventValue(range)))
    }
    return event
  }

  private static func check(type: String) throws(PublishRefusal) {
    guard (1...100).contains(type.utf8.count), type.utf8.allSatisfy(GroupName.isLegal),
      !type.hasPrefix("_"), !type.hasPrefix(".")
    else {
      throw PublishRefusal(
        malformed:
          "\"\(shown(type))\" is not a valid event type: letters, digits, \".\", \"_\" and \"-\", not beginning with \".\" or \"_\""
      )
    }
    guard !HandlerName.isReserved(type) else {
      throw PublishRefusal(
        malformed:
          "\"\(shown(type))\" is reserved: event types that begin with \"sluice.\" are Sluice's own")
    }
  }

  /// Lists and objects are passed on as they were written.
  private func eventValue(_ range: Range<Int>) -> EventValue {
    switch json(range) {
    case .string(let text): .text(Array(text.utf8))
    case .array, .object: .encodedJSON(bytes(range))
    case let value: .json(value)
    }
  }
}
