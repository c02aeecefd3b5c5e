import Bytes
package import ChannelLayers
package import GatewayConfig
import JSON
package import Transport
import WebSocketCore

/// Renders the events of a group for the clients of an `events` route: the events that consumers understand, and those of the
/// route's own templates.
///
/// Text is sent unchanged, `chat.message` as the JSON that chat clients receive, and bytes in base64 as an event called
/// `bytes`. A text that names the user who published it is sent as that user's message: unchanged it could pass for the message
/// of another user. Bytes that name a user are dropped.
package final class EventStreamRenderer: EventRenderer, Sendable {
  private let events: RouteEvents
  private let showsPosition: Bool

  /// - Parameters:
  ///   - showsPosition: whether an event's position in the history of its group is its id. A client remembers one id, so only
  ///     one of its groups can have them.
  ///   - report: called for events that clients of the route do not get, or get incompletely.
  package init(
    _ group: GroupConfiguration, showsPosition: Bool, report: (@Sendable (UnfitEvents.Report) -> Void)? = nil
  ) {
    events = RouteEvents(group, report: report)
    self.showsPosition = showsPosition
  }

  private init(_ events: RouteEvents, showsPosition: Bool) {
    self.events = events
    self.showsPosition = showsPosition
  }

  /// The renderer for the other groups of the route.
  package var withoutPositions: EventStreamRenderer { EventStreamRenderer(events, showsPosition: false) }

  package var selects: Bool { events.selects }
  package func recipients(of event: Event, own: EventRecipients) -> EventRecipients? {
    events.recipients(of: event, own: own)
  }

  package func render(_ event: Event, for receiver: EventReceiver?, into stream: SharedBytes) -> Rendering {
    events.closing(event, renderOpen(event, for: receiver, into: stream))
  }

  private func renderOpen(
    _ event: Event, for receiver: EventReceiver?, into stream: SharedBytes
  ) -> Rendering {
    if event.type == Event.historyType, event.position != nil { return appendStart(event, to: stream) }
    let handler = event.handler
    switch events.meaning(of: event, as: handler, for: receiver) {
    case .text(let text): return append(text, of: event, to: stream)
    case .message: return events.message(event, appendMessage(of: event, to: stream))
    case .rendering(let rendering): return rendering
    case nil: break
    }
    switch handler {
    case Chat.eventType:
      guard let text = Chat.text(of: event) else { return events.chatMessage(event, .ignored) }
      return append(text, of: event, to: stream)
    case Broadcast.eventType: return appendBroadcast(event, to: stream)
    default: return events.unknown(event)
    }
  }

  package var namesGroup: Bool { events.nameGroup }

  /// Appends the position before the first kept event, and whether events are missing there.
  private func appendStart(_ event: Event, to stream: SharedBytes) -> Rendering {
    guard let position = id(of: event) else { return .ignored }
    if event["gap"] == .json(.bool(true)) {
      let text = Array(#"{"id": "\#(position)"}"#.utf8)
      ServerSentEvent(id: position, name: "gap").append(text, to: stream)
    } else {
      ServerSentEvent(id: position).appendID(to: stream)
    }
    return .frames
  }

  private func id(of event: Event) -> EventPosition? { showsPosition ? event.position : nil }

  private func appendBroadcast(_ event: Event, to stream: SharedBytes) -> Rendering {
    switch Chat.SignedBroadcast(event) {
    case .text(let text)?: append(text, of: event, to: stream)
    case .unfit?: events.dropped(event, Chat.SignedBroadcast.unfitReason)
    case nil: events.message(event, appendMessage(of: event, to: stream))
    }
  }

  private func appendMessage(of event: Event, to stream: SharedBytes) -> Rendering {
    guard let (kind, payload) = event.message else { return .ignored }
    switch kind {
    case .text: return append(payload, of: event, to: stream)
    case .binary:
      ServerSentEvent(id: id(of: event), name: "bytes").append(Array(Base64.encode(payload).utf8), to: stream)
      return .frames
    }
  }

  private func append(_ text: [UInt8], of event: Event, to stream: SharedBytes) -> Rendering {
    ServerSentEvent(id: id(of: event)).append(text, to: stream)
    return .frames
  }
}
