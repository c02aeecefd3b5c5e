import WebSocketCore

/// Keeps messages in flight: for each that comes back it sends the next one.
final class EchoPart: ClientPart {
  private let inFlight: Int
  /// When the messages in flight were sent, by sequence number.
  private var sentAt: [UInt64]
  private var stamp: Stamp
  private var nextReceived: UInt32 = 0
  private var stampPlace = 0

  init(inFlight: Int, run: UInt32, index: Int) {
    self.inFlight = inFlight
    // A power of two, so that sequence numbers may run over.
    var capacity = 1
    while capacity < inFlight { capacity *= 2 }
    sentAt = Array(repeating: 0, count: capacity)
    let sender = UInt32(truncatingIfNeeded: index) & (Stamp.senders.upperBound - 1)
    stamp = Stamp(run: run, sender: sender, sequence: 0, nanoseconds: 0)
  }

  func begin(_ client: LoadClient, _ crew: Crew) {
    for _ in 0..<inFlight { send(client, crew) }
  }

  func received(_ kind: MessageKind, _ payload: RawSpan, for client: LoadClient, _ crew: Crew) {
    guard nextReceived != stamp.sequence else { return crew.gotWrong(payload, "nothing was in flight") }
    if !isExpected(payload, crew.frame) { crew.gotWrong(payload, "it is not what was sent") }
    let sent = sentAt[Int(nextReceived) & (sentAt.count - 1)]
    nextReceived &+= 1
    crew.completed(bytes: payload.byteCount, since: sent)
    if !crew.isHalted { send(client, crew) }
  }

  private func send(_ client: LoadClient, _ crew: Crew) {
    sentAt[Int(stamp.sequence) & (sentAt.count - 1)] = crew.now
    crew.frame.write(stamp)
    stamp.sequence &+= 1
    let frame = crew.frame.bytes
    unsafe client.send(frame: frame.span.bytes)
  }

  private func isExpected(_ payload: RawSpan, _ frame: PreparedFrame) -> Bool {
    guard payload.byteCount == frame.payload.count else { return false }
    guard frame.isStamped else { return [UInt8](copying: payload) == frame.payload }
    let found = Stamp.find(in: payload, place: &stampPlace)
    return found?.sequence == nextReceived && found?.sender == stamp.sender && found?.run == stamp.run
  }
}
