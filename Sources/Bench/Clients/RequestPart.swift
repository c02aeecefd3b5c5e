import WebSocketCore

/// Keeps a number of requests in flight that publish: for each answer it sends the next one.
final class RequestPart: ClientPart {
  let publishes = true
  private let inFlight: Int
  private let index: UInt32
  private var unanswered: SentTimes

  init(inFlight: Int, index: Int) {
    self.inFlight = inFlight
    self.index = UInt32(truncatingIfNeeded: index) & (Stamp.senders.upperBound - 1)
    unanswered = SentTimes(capacity: inFlight)
  }

  func begin(_ client: LoadClient, _ crew: Crew) {
    for _ in 0..<inFlight { send(client, crew) }
  }

  func answered(isAccepted: Bool, for client: LoadClient, _ crew: Crew) {
    let sent = unanswered.removeFirst()
    if isAccepted { crew.completed(bytes: crew.message.payload.count, since: sent) }
    if !crew.isHalted { send(client, crew) }
  }

  /// The server has not looked at the requests behind its last answer (RFC 9112 section 9.6). Their time goes on.
  func reopened(_ client: LoadClient, _ crew: Crew) {
    guard !crew.isHalted else { return }
    for offset in 0..<UInt32(unanswered.count) { write(unanswered.first &+ offset, to: client, crew) }
  }

  private func send(_ client: LoadClient, _ crew: Crew) {
    let number = unanswered.next
    unanswered.append(crew.now)
    write(number, to: client, crew)
  }

  private func write(_ number: UInt32, to client: LoadClient, _ crew: Crew) {
    let stamp = Stamp(
      run: crew.plan.run, sender: index, sequence: number, nanoseconds: unanswered[number])
    crew.message.write(stamp.words)
    crew.message.withBytes { client.send($0) }
  }
}
