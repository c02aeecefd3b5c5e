/// Does nothing while it is open. The measured time is that of its handshake.
final class IdlePart: ClientPart {
  /// Nanoseconds.
  private var opened: UInt64?

  func opened(_ client: LoadClient, _ crew: Crew) {
    opened = crew.now
  }

  /// Only now it counts: a connection may be refused behind its handshake.
  func begin(_ client: LoadClient, _ crew: Crew) {
    if let opened { crew.completed(bytes: 0, since: client.started, at: opened) }
  }
}
