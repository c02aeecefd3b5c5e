import ChannelLayers
import GatewayConfig
import Transport
import WebSocketCore

/// The sessions of a route whose view is asked about what they send. What comes from its groups is rendered here, without a question.
public final class ViewAnswered: Sendable {
  let events: RouteEvents
  private let receiving: Receiving?
  /// Whether frames say which group they came from.
  let hasEnvelope: Bool

  init(_ configuration: GroupConfiguration, report: (@Sendable (UnfitEvents.Report) -> Void)? = nil) {
    events = RouteEvents(configuration, report: report)
    receiving = events.receiving(by: configuration)
    hasEnvelope = configuration.options[.envelope]
  }

  func received(_ kind: MessageKind, _ payload: RawSpan, from session: some ConsumerSession) {
    guard let receiving else { return session.ask(kind, payload) }
    if case .ask = receiving.take(kind, payload, from: session) { session.ask(kind, payload) }
  }

  func render(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes) -> Rendering {
    events.renderUnsigned(event, for: receiver, into: frames)
  }
}
