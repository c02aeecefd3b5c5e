package import Transport

/// Turns an event into the bytes that every member of an audience is sent; a route's consumer is one.
///
/// Used on the reactor of the audience.
package protocol EventRenderer {
  /// Appends to `frames` what the event is to the clients of the route.
  ///
  /// - Parameter address: of the session it is rendered for; nil where it is for all of an audience.
  func render(_ event: Event, for address: String?, into frames: SharedBytes) -> Rendering
}

/// What an event was to an audience.
package enum Rendering: Sendable, Equatable {
  /// Frames were appended.
  case frames
  /// Every session of the audience is to be closed, after what is already rendered.
  case close(code: UInt16, reason: String)
  /// Every session sees it differently: it has to be rendered for each.
  case personal
  /// The route does not know the event's type, or a field that it needs is absent or of the wrong kind. The renderer has reported
  /// it; no socket is ever closed for it.
  case ignored
}
