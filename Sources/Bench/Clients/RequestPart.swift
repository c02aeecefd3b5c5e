import WebSocketCore

/// Keeps a number of requests in flight that publish: for each answer it sends the next one.
final class RequestPart: ClientPart {
  let publishes = true
  private let inFlight: Int
  private let index: UInt32
  /// When the requests in flight were sent, by sequence number.
  private var sentAt: [UInt64]
  private var nextSent: UInt32 = 0
  private var nextAnswered: UInt32 = 0

  init(inFlight: Int, index: Int) {
    self.inFlight = inFlight
    self.index = UInt32(truncatingIfNeeded: index) & (Stamp.senders.upperBound - 1)
    // A power of two, so that sequence numbers may wrap around.
    var capacity = 1
    while capacity < inFlight { capacity *= 2 }
    sentAt = Array(repeating: 0, count: capacity)
  }

  func begin(_ client: LoadClient, _ crew: Crew) {
    for _ in 0..<inFlight { send(client, crew) }
  }

  func answered(isAccepted: Bool, for client: LoadClient, _ crew: Crew) {
    let sent = sentAt[Int(nextAnswered) & (sentAt.count - 1)]
    nextAnswered &+= 1
    if isAccepted { crew.completed(bytes: crew.message.payload.count, since: sent) }
    if !crew.isHalted { send(client, crew) }
  }

  private func send(_ client: LoadClient, _ crew: Crew) {
    sentAt[Int(nextSent) & (sentAt.count - 1)] = crew.now
    let stamp = Stamp(run: crew.plan.run, sender: index, sequence: nextSent, nanoseconds: crew.now)
    nextSent &+= 1
    crew.message.write(stamp.words)
    crew.message.withBytes { client.send($0) }
  }
}
