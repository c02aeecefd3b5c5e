import Bytes
import ChannelLayers
import GatewayConfig
import Transport
import WebSocketCore

/// Sends a session's frame unchanged to everyone in the group.
///
/// It travels as the event `{"type": "broadcast.message", "text": ...}` or `"bytes": ...`.
public final class Broadcast: Sendable {
  package static let eventType = "broadcast.message"

  private let publish: ConsumerConfiguration.PublishPolicy
  let events: RouteEvents
  /// Whether frames say which group they came from.
  let hasEnvelope: Bool

  init(
    _ configuration: GroupConfiguration, publish: ConsumerConfiguration.PublishPolicy,
    report: (@Sendable (UnfitEvents.Report) -> Void)? = nil
  ) {
    events = RouteEvents(configuration.events, report: report)
    self.publish = publish
    hasEnvelope = configuration.options[.envelope]
  }

  func received(_ kind: MessageKind, _ payload: RawSpan, from session: some ConsumerSession) {
    switch publish {
    case .authenticated where session.identity == nil:
      session.refuse("only authenticated clients can publish on this route")
    case .everyone, .authenticated:
      let bytes = [UInt8](copying: payload)
      let field: Event.Field =
        switch kind {
        case .text: .init("text", .text(bytes))
        case .binary: .init("bytes", .bytes(bytes))
        }
      session.publish(Event(type: Self.eventType, fields: [field]))
    case .nobody: session.refuse("clients cannot publish on this route")
    }
  }

  func render(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes) -> Rendering {
    let handler = event.handler
    if let rendering = events.render(event, as: handler, for: receiver, into: frames) { return rendering }
    switch handler {
    case Self.eventType: return events.message(event, frames.appendMessage(of: event))
    // One of the route's groups may be shared with a chat route.
    case Chat.eventType: return events.chatMessage(event, Chat.render(event, into: frames))
    default: return events.unknown(event)
    }
  }
}
