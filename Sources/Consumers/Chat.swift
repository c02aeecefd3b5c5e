import ChannelLayers
import GatewayConfig
import JSON
import Routing
import Transport
import WebSocketCore

/// The chat of the Channels tutorial: `{"message": X}` in, `{"message": X}` out to everyone in the group.
///
/// X is any JSON value. It travels as the event `{"type": "chat.message", "message": X}`, the one that the tutorial's
/// Python consumer sends and understands. Anything else is answered with `{"error": ...}`; the session stays open.
public final class Chat: Sendable {
  package static let eventType = "chat.message"
  package static let member = "message"

  let groups: GroupConfiguration
  let events: RouteEvents

  init(_ configuration: GroupConfiguration) {
    groups = configuration
    events = RouteEvents(configuration.events)
  }

  func received(_ kind: MessageKind, _ payload: RawSpan, from session: some ConsumerSession) {
    guard kind == .text else {
      return session.refuse(#"send text: {"message": ...}; this was binary"#)
    }
    do {
      guard let range = try JSONScanner.member(Self.member, of: payload) else {
        return session.refuse(#"the message has no member "message""#)
      }
      let value = [UInt8](copying: payload.extracting(range))
      session.publish(Event(type: Self.eventType, fields: [.init(Self.member, .encodedJSON(value))]))
    } catch {
      session.refuse(error.description)
    }
  }

  func render(_ event: Event, for address: String?, into frames: SharedBytes) -> Rendering {
    if let rendering = events.render(event, for: address, into: frames) { return rendering }
    // In one of its groups others may broadcast.
    if event.type == Broadcast.eventType { return frames.appendMessage(of: event) }
    return Self.render(event, into: frames)
  }

  static func render(_ event: Event, into frames: SharedBytes) -> Rendering {
    guard event.type == eventType, let value = event[member] else { return .ignored }
    switch value {
    case .encodedJSON(let text):
      unsafe frames.appendFrame(.text, prefix: #"{"message": "#, payload: text.span.bytes, suffix: "}")
    case .json, .text, .bytes:
      guard let text = value.jsonText else { return .ignored }
      unsafe frames.appendFrame(.text, prefix: #"{"message": "#, payload: text.span.bytes, suffix: "}")
    }
    return .frames
  }
}
