/// Closes each connection as soon as it is open, and opens the next one.
final class ConnectPart: ClientPart {
  func opened(_ client: LoadClient, _ crew: Crew) {
    crew.completed(bytes: 0, since: client.started)
    client.close()
  }

  func ended(_ crew: Crew) {
    if !crew.isHalted { crew.open([self]) }
  }
}
