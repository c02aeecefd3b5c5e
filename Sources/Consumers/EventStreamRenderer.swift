package import ChannelLayers
package import GatewayConfig
import JSON
package import Transport

/// What the events of a group are to the clients of an `events` route: every kind that some consumer understands, and the
/// route's own templates.
///
/// Text is sent as it is, `chat.message` as the JSON that chat clients get, bytes in base64 as an event called `bytes`.
package final class EventStreamRenderer: EventRenderer, Sendable {
  private let events: RouteEvents

  package init(_ group: GroupConfiguration) {
    events = RouteEvents(group.events)
  }

  package func render(_ event: Event, for address: String?, into stream: SharedBytes) -> Rendering {
    switch events.meaning(of: event, for: address) {
    case .text(let text): return append(text, of: event, to: stream)
    case .message: return appendMessage(of: event, to: stream)
    case .rendering(let rendering): return rendering
    case nil: break
    }
    switch event.type {
    case Chat.eventType:
      guard let text = Chat.text(of: event) else { return .ignored }
      return append(text, of: event, to: stream)
    case Broadcast.eventType: return appendMessage(of: event, to: stream)
    default: return .ignored
    }
  }

  /// As for WebSocket clients: exactly one of `text` and `bytes` is given.
  private func appendMessage(of event: Event, to stream: SharedBytes) -> Rendering {
    switch event["text"] {
    case .text(let utf8)?: return append(utf8, of: event, to: stream)
    case .json(.string(let string))?: return append(Array(string.utf8), of: event, to: stream)
    case .bytes?, .encodedJSON?: return .ignored
    case nil, .json?:
      guard case .bytes(let bytes) = event["bytes"] else { return .ignored }
      let text = Array(Base64.encode(bytes).utf8)
      ServerSentEvent(id: event.position, name: "bytes").append(text, to: stream)
      return .frames
    }
  }

  private func append(_ text: [UInt8], of event: Event, to stream: SharedBytes) -> Rendering {
    ServerSentEvent(id: event.position).append(text, to: stream)
    return .frames
  }
}
