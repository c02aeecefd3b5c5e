import WebSocketCore

/// Checks the messages that a member of the group receives.
final class SubscriberPart: ClientPart {
  /// One for each publisher.
  private(set) var orders: [OrderCheck]

  init(publishers: Int) {
    orders = Array(repeating: OrderCheck(), count: publishers)
  }

  func received(_ kind: MessageKind, _ payload: RawSpan, for client: LoadClient, _ crew: Crew) {
    let found = Stamp.find(in: payload, place: &crew.stampPlace)
    // What a group has kept for those who come does not count, nor does that with which publishers begin.
    guard crew.isListening, found?.run != crew.plan.openingRun else { return }
    guard let stamp = found, stamp.run == crew.plan.run, Int(stamp.sender) < orders.count else {
      return crew.gotWrong(payload, "it was not sent by a publisher of this run")
    }
    let sender = Int(stamp.sender)
    let next = orders[sender].next
    switch orders[sender].take(stamp.sequence) {
    case .inOrder: crew.window?.delivered(stamp.sequence, of: sender, next: next)
    // It has not been waited for since a later one arrived.
    case .late: crew.tally.late += 1
    case .duplicate:
      crew.tally.duplicated += 1
      return
    }
    crew.delivered(bytes: payload.byteCount, since: stamp.nanoseconds)
  }

  func ended(_ crew: Crew) {
    crew.window?.left(orders)
  }
}
