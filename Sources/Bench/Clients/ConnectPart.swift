/// Closes each connection as soon as it is open, and opens the next one.
final class ConnectPart: ClientPart {
  /// The handshake of the connection, in nanoseconds. It counts when it is clear that the connection is not refused behind it.
  private var handshake: (start: UInt64, end: UInt64)?

  func opened(_ client: LoadClient, _ crew: Crew) {
    handshake = (client.started, crew.now)
    client.close()
  }

  func refused(_ crew: Crew) {}

  func ended(_ crew: Crew) {
    if let handshake { crew.completed(bytes: 0, since: handshake.start, at: handshake.end) }
    handshake = nil
    if !crew.isHalted { crew.open([self]) }
  }
}
