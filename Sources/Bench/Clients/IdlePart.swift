/// Is there; the time it measures is that of its hand-shake.
final class IdlePart: ClientPart {
  func opened(_ client: LoadClient, _ crew: Crew) {
    crew.completed(bytes: 0, since: client.started)
  }
}
