package import Transport

/// Renders an event for all members of an audience, on their reactor. A route's consumer is a renderer.
package protocol EventRenderer {
  /// Appends the frames for the clients of the route to `frames`.
  ///
  /// - Parameter receiver: the session to render for; nil for the whole audience.
  func render(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes) -> Rendering

  /// Whether frames name the group that an event came from.
  var namesGroup: Bool { get }

  /// Whether the route itself may choose who of its clients gets an event. It never changes.
  var selects: Bool { get }

  /// Who of the route's clients gets the event, by the rules of the route too.
  ///
  /// Asked only if the renderer `selects`, or the event itself is for some of a group.
  ///
  /// - Parameter own: what the event says of it, read once for all routes.
  /// - Returns: nil if nobody gets it, by what it says of them itself (`EventRecipients.fault`), which the renderer has reported.
  func recipients(of event: Event, own: EventRecipients) -> EventRecipients?
}

extension EventRenderer {
  package var namesGroup: Bool { false }
  package var selects: Bool { false }
  package func recipients(of event: Event, own: EventRecipients) -> EventRecipients? {
    own.fault == nil ? own : nil
  }
}

extension Event {
  /// The same as `recipients`, with little work for an event that is for all of a group.
  package var ownRecipients: EventRecipients { isAddressed ? recipients : .all }
}

/// One session that an event is rendered for.
package struct EventReceiver: Sendable, Equatable {
  /// `{channel}`
  package var address: String
  /// The opaque value that a view keeps about the session, as JSON text that only a frame reads that shows something of it; nil if there
  /// is none.
  package var state: [UInt8]?

  package init(address: String, state: [UInt8]? = nil) {
    self.address = address
    self.state = state
  }
}

/// The result of rendering an event for an audience.
package enum Rendering: Sendable, Equatable {
  /// Frames were appended.
  case frames
  /// Every session of the audience has to be closed, after the frames that are already rendered, and those that were appended now.
  case close(code: UInt16, reason: String)
  /// The frames differ from session to session, so the event has to be rendered for each.
  case personal
  /// The route does not know the event's type, or a required field is missing or has the wrong type. The renderer has reported
  /// it. No connection is ever closed because of it.
  case ignored
}
