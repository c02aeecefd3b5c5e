import GatewayConfig
import JSON

/// A stretch of a group's history.
package struct HistorySlice: Sendable, Equatable {
  /// What it begins behind.
  package var start: EventPosition
  /// Whether events were asked for that are not kept any more, or of another epoch: what is here is all that is left.
  package var isGap: Bool
  /// Whether the position that was asked for is beyond what this process has: its copy of the history lags behind the one that is
  /// kept elsewhere, or the position was never given to anybody. Nothing is read then.
  package private(set) var isAhead = false
  /// In order, without a hole, each with its position.
  package var events: [Event]
  /// Whether nothing is behind it, for now.
  package var isLast: Bool

  package init(start: EventPosition, isGap: Bool = false, events: [Event] = [], isLast: Bool = true) {
    self.start = start
    self.isGap = isGap
    self.events = events
    self.isLast = isLast
  }

  /// A slice without events, for a position that is beyond what this process has.
  ///
  /// - Parameter reached: the last position that this process has.
  package init(aheadOf reached: EventPosition) {
    self.init(start: reached, isGap: true)
    isAhead = true
  }

  /// The position to go on behind.
  package var end: EventPosition { events.last?.position ?? start }
}

extension Event {
  /// Not an event of anybody's, but what members with numbered frames are told: where they are, and whether something is missing
  /// before it. Its `position` is the one that what follows begins behind.
  package static let historyType = "sluice.history"

  /// What stands for a kept event that cannot be read any more. No route delivers it.
  package static let unreadableType = "sluice.unreadable"

  static func history(behind position: EventPosition, isGap: Bool) -> Event {
    var event = Event(type: historyType, fields: [.init("gap", .json(.bool(isGap)))])
    event.position = position
    return event
  }

  /// Whether it is kept: not what concerns only those who are there.
  package var isRecordable: Bool {
    let handler = handler
    return handler != "websocket.close" && !handler.hasPrefix(HandlerName.reservedPrefix)
  }
}
