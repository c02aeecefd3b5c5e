import Bytes
package import ChannelLayers
import JSON
package import Transport
import WebSocketCore

/// Renders a route's events for sessions that asked for positions: each frame contains the position of its event.
///
/// An event without a position, which no history keeps, has the same frame as for other sessions.
package final class NumberedRenderer: EventRenderer, Sendable {
  private let consumer: Consumer

  package init(_ consumer: Consumer) {
    self.consumer = consumer
  }

  package func render(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes) -> Rendering {
    guard let position = event.position else { return consumer.render(event, for: receiver, into: frames) }
    if event.type == Event.historyType {
      let text = #"{"history": {"id": "\#(position)", "gap": \#(event["gap"] == .json(.bool(true)))}}"#
      frames.appendFrame(.text, Array(text.utf8).rawBytes)
      return .frames
    }
    let mark = FrameMark(
      name: Self.mark, value: position.description, form: consumer.numbering(of: event, with: Self.mark))
    return mark.add(to: frames) { consumer.render(event, for: receiver, into: $0) }
  }

  package var namesGroup: Bool { consumer.namesGroup }
  package var selects: Bool { consumer.selects }
  package func recipients(of event: Event, own: EventRecipients) -> EventRecipients? {
    consumer.recipients(of: event, own: own)
  }

  private static let mark = "id"
}
