/// The messages that one subscriber received from one publisher: finds duplicates, and messages after a later one.
struct OrderCheck {
  enum Arrival: Equatable {
    case inOrder
    /// A later message arrived before it.
    case late
    /// It arrived before, or is too old to be known.
    case duplicate
  }

  /// How many messages back it remembers.
  static let memory = 64

  /// One more than the highest number that arrived.
  private(set) var next: UInt32 = 0
  /// The numbers below `next` that arrived, the nearest in the lowest bit.
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
