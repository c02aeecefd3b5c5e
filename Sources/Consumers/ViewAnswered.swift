import ChannelLayers
import GatewayConfig
import Transport

/// The sessions of a route whose view is asked about what they send. What comes from its groups is rendered here, without a question.
public final class ViewAnswered: Sendable {
  let events: RouteEvents
  /// Whether frames say which group they came from.
  let hasEnvelope: Bool

  init(_ configuration: GroupConfiguration, report: (@Sendable (UnfitEvents.Report) -> Void)? = nil) {
    events = RouteEvents(configuration.events, report: report)
    hasEnvelope = configuration.options[.envelope]
  }

  func render(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes) -> Rendering {
    let handler = event.handler
    if let rendering = events.render(event, as: handler, for: receiver, into: frames) { return rendering }
    switch handler {
    case Broadcast.eventType: return events.message(event, frames.appendMessage(of: event))
    case Chat.eventType: return events.chatMessage(event, Chat.render(event, into: frames))
    default: return events.unknown(event)
    }
  }
}
