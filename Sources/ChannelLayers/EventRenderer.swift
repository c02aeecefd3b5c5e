package import Transport

/// Renders an event for all members of an audience, on their reactor. A route's consumer is a renderer.
package protocol EventRenderer {
  /// Appends the frames for the clients of the route to `frames`.
  ///
  /// - Parameter address: the address of the session to render for; nil for the whole audience.
  func render(_ event: Event, for address: String?, into frames: SharedBytes) -> Rendering

  /// Whether frames name the group that an event came from.
  var namesGroup: Bool { get }
}

extension EventRenderer {
  package var namesGroup: Bool { false }
}

/// The result of rendering an event for an audience.
package enum Rendering: Sendable, Equatable {
  /// Frames were appended.
  case frames
  /// Every session of the audience has to be closed, after the frames that are already rendered.
  case close(code: UInt16, reason: String)
  /// The frames differ from session to session, so the event has to be rendered for each.
  case personal
  /// The route does not know the event's type, or a required field is missing or has the wrong type. The renderer has reported
  /// it. No connection is ever closed because of it.
  case ignored
}
