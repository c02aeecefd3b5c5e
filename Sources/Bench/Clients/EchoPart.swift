import WebSocketCore

/// Keeps a number of messages in flight: for each answer it sends the next message.
final class EchoPart: ClientPart {
  private let inFlight: Int
  private var unanswered: SentTimes
  /// The stamp of this connection; only the sequence changes from message to message.
  private var words: Stamp.Words

  /// One message in this many is compared completely; for the others only the length and the stamp.
  private static let sampled: UInt32 = 64

  init(inFlight: Int, run: UInt32, index: Int) {
    self.inFlight = inFlight
    unanswered = SentTimes(capacity: inFlight)
    let sender = UInt32(truncatingIfNeeded: index) & (Stamp.senders.upperBound - 1)
    words = Stamp(run: run, sender: sender, sequence: 0, nanoseconds: 0).words
  }

  func begin(_ client: LoadClient, _ crew: Crew) {
    for _ in 0..<inFlight { send(client, crew) }
  }

  func received(_ kind: MessageKind, _ payload: RawSpan, for client: LoadClient, _ crew: Crew) {
    guard unanswered.count > 0 else { return crew.gotWrong(payload, "no answer was expected") }
    if !isExpected(payload, crew) { crew.gotWrong(payload, "it differs from the message that was sent") }
    let sent = unanswered.removeFirst()
    crew.completed(bytes: payload.byteCount, since: sent)
    if !crew.isHalted { send(client, crew) }
  }

  private func send(_ client: LoadClient, _ crew: Crew) {
    words[Stamp.sequenceWord] = Hexadecimal.encode(unanswered.next)
    unanswered.append(crew.now)
    crew.message.write(words)
    crew.message.withBytes { client.send($0) }
  }

  private func isExpected(_ payload: RawSpan, _ crew: Crew) -> Bool {
    guard crew.message.isStamped else { return crew.message.isWhole(payload, nil) }
    var expected = words
    expected[Stamp.sequenceWord] = Hexadecimal.encode(unanswered.first)
    guard crew.message.isAlike(payload, expected) else { return false }
    return unanswered.first % Self.sampled != 0 || crew.message.isWhole(payload, expected)
  }
}
