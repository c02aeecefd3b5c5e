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
  private let receiving: Receiving?
  /// Whether frames say which group they came from.
  let hasEnvelope: Bool

  init(
    _ configuration: GroupConfiguration, publish: ConsumerConfiguration.PublishPolicy,
    report: (@Sendable (UnfitEvents.Report) -> Void)? = nil
  ) {
    events = RouteEvents(configuration, report: report)
    receiving = events.receiving(by: configuration)
    self.publish = publish
    hasEnvelope = configuration.options[.envelope]
  }

  func received(_ kind: MessageKind, _ payload: RawSpan, from session: some ConsumerSession) {
    guard let receiving else { return take(kind, payload, from: session) }
    if case .publish = receiving.take(kind, payload, from: session) { take(kind, payload, from: session) }
  }

  private func take(_ kind: MessageKind, _ payload: RawSpan, from session: some ConsumerSession) {
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
      let event = Event(type: Self.eventType, fields: [field])
      session.publish(events.isForOthers(Self.eventType) ? event.notTo(session) : event)
    case .nobody: session.refuse("clients cannot publish on this route")
    }
  }

  func render(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes) -> Rendering {
    events.renderUnsigned(event, for: receiver, into: frames)
  }
}
