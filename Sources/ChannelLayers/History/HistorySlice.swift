import GatewayConfig
import JSON

/// Consecutive events of a group's history.
package struct HistorySlice: Sendable, Equatable {
  /// The position directly before the first event.
  package var start: EventPosition
  /// Whether requested events are missing, because they are not kept any more or were of another epoch. The slice then has the
  /// events that are left.
  package var isGap: Bool
  /// Whether the requested position is after the last one that this process has. Either its copy lags behind the history, or the
  /// position was never used. The slice then has no events.
  package private(set) var isAhead = false
  /// In the order of their positions, without a gap.
  package var events: [Event]
  /// Whether there are no later events for now.
  package var isLast: Bool

  package init(start: EventPosition, isGap: Bool = false, events: [Event] = [], isLast: Bool = true) {
    self.start = start
    self.isGap = isGap
    self.events = events
    self.isLast = isLast
  }

  /// Makes a slice without events, for a position after the last one that this process has reached.
  package init(aheadOf reached: EventPosition) {
    self.init(start: reached, isGap: true)
    isAhead = true
  }

  /// The position after which the next slice begins.
  package var end: EventPosition { events.last?.position ?? start }
}

extension Event {
  /// The type of the event that tells members with numbered frames their position, and whether events are missing before it. The
  /// gateway makes it; nobody publishes it. The next event follows directly after its `position`.
  package static let historyType = "sluice.history"

  /// The type of the event that takes the place of a kept event that cannot be read any more. No route delivers it.
  package static let unreadableType = "sluice.unreadable"

  static func history(behind position: EventPosition, isGap: Bool) -> Event {
    var event = Event(type: historyType, fields: [.init("gap", .json(.bool(isGap)))])
    event.position = position
    return event
  }

  /// Whether a history keeps the event. It does not keep events that concern only the present members.
  package var isRecordable: Bool {
    let handler = handler
    return handler != "websocket.close" && !handler.hasPrefix(HandlerName.reservedPrefix) && !isEphemeral
  }

  /// The field of an event that no history keeps, such as that somebody is typing. Django can send it, too.
  package static let ephemeralMark = "sluice.ephemeral"

  private var isEphemeral: Bool { self[Self.ephemeralMark] == .json(.bool(true)) }
}
