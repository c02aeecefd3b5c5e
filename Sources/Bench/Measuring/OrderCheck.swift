/// What one subscriber has got of one publisher: finds duplicates, and what came after a later message.
struct OrderCheck {
  enum Arrival: Equatable {
    case inOrder
    /// A later one was here before it.
    case late
    /// It came before, or so long ago that nobody remembers whether it did.
    case duplicate
  }

  /// How far back it remembers.
  static let memory = 64

  /// One more than the highest that came.
  private(set) var next: UInt32 = 0
  /// Which of those below `next` came, the nearest lowest.
  private var seen: UInt64 = 0

  mutating func take(_ sequence: UInt32) -> Arrival {
    guard sequence < next else {
      seen = seen << UInt64(sequence &- next &+ 1) | 1
      next = sequence &+ 1
      return .inOrder
    }
    let back = next - 1 - sequence
    guard back < Self.memory, seen >> UInt64(back) & 1 == 0 else { return .duplicate }
    seen |= 1 << UInt64(back)
    return .late
  }
}
