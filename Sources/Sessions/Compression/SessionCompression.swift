import Transport
import WebSocketCore

/// Compresses and decompresses the messages of one session. Confined to its reactor.
///
/// Sessions of a route without context and with the same window share one object, so these cost no memory of their own.
final class SessionCompression {
  let inflater: Inflater
  let deflater: Deflater
  /// For the events of the route's group.
  let renderer: DeflatingRenderer?
  /// The same for sessions with numbered frames.
  let numberedRenderer: DeflatingRenderer?
  /// Given back when the session ends.
  let reservation: MemoryShare?

  init(
    inflater: Inflater, deflater: Deflater, renderer: DeflatingRenderer?,
    numberedRenderer: DeflatingRenderer?, reservation: MemoryShare? = nil
  ) {
    self.inflater = inflater
    self.deflater = deflater
    self.renderer = renderer
    self.numberedRenderer = numberedRenderer
    self.reservation = reservation
  }
}
