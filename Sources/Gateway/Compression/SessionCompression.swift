import WebSocketCore

/// How one session's messages are unpacked and packed. Confined to its reactor.
///
/// Shared by all sessions of a route that keep no context and have the same window: these cost nothing of their own.
final class SessionCompression {
  let inflater: Inflater
  let deflater: Deflater
  /// For the events of the route's group.
  let renderer: DeflatingRenderer?
  /// The same for the sessions whose frames are numbered.
  let numberedRenderer: DeflatingRenderer?
  /// Given back when the session is gone.
  private let reservation: ContextReservation?

  init(
    inflater: Inflater, deflater: Deflater, renderer: DeflatingRenderer?,
    numberedRenderer: DeflatingRenderer?, reservation: ContextReservation? = nil
  ) {
    self.inflater = inflater
    self.deflater = deflater
    self.renderer = renderer
    self.numberedRenderer = numberedRenderer
    self.reservation = reservation
  }
}
