/// Does nothing while it is open. The measured time is that of its handshake.
final class IdlePart: ClientPart {
  func opened(_ client: LoadClient, _ crew: Crew) {
    crew.completed(bytes: 0, since: client.started)
  }
}
