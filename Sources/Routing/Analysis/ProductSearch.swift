/// Runs up to three automata side by side, the shortest paths first.
struct ProductSearch {
  enum Result {
    case found(String)
    /// There is no such path.
    case none
    /// The budget was used up before.
    case open
  }

  /// The states of all automata in one number. An automaton that has stopped is all ones.
  private typealias Place = UInt64

  private static let bits: UInt64 = 21
  private static let stopped = UInt64(1) << bits - 1

  let automata: [Automaton]
  /// Whether to leave out paths with control characters.
  var isReadable = false

  /// The shortest path at whose end the answering routes, one for each automaton, fulfil the condition.
  func first(_ budget: WorkBudget, where isWanted: ([Int?]) -> Bool) -> Result {
    var paths = ShortestPaths<Place, UInt8>(from: 0)
    while let place = paths.next() {
      if isWanted(automata.indices.map { winner($0, place) }) { return .found(paths.path(to: place)) }
      let bounds = bounds(of: place)
      guard budget.spend(bounds.count * automata.count + 1) else { return .open }
      for (low, end) in zip(bounds, bounds.dropFirst()) where !isReadable || low >= 0x20 && low != 0x7F {
        let following = step(place, UInt8(low))
        guard following != allStopped else { continue }
        paths.reach(following, from: place, by: AutomatonBuilder.readable(UInt8(low)...UInt8(end - 1)))
      }
    }
    return .none
  }

  private var allStopped: Place {
    automata.indices.reduce(0) { $0 | Self.stopped << (UInt64($1) * Self.bits) }
  }

  private func state(_ number: Int, _ place: Place) -> Int? {
    let state = place >> (UInt64(number) * Self.bits) & Self.stopped
    return state == Self.stopped ? nil : Int(state)
  }

  private func winner(_ number: Int, _ place: Place) -> Int? {
    guard let state = state(number, place), automata[number].winners[state] >= 0 else { return nil }
    return Int(automata[number].winners[state])
  }

  private func step(_ place: Place, _ byte: UInt8) -> Place {
    automata.indices.reduce(0) { result, number in
      let next = state(number, place).flatMap { automata[number].next($0, byte) }
      return result | (next.map(UInt64.init) ?? Self.stopped) << (UInt64(number) * Self.bits)
    }
  }

  /// The bytes at which the behaviour of any automaton changes.
  private func bounds(of place: Place) -> [Int] {
    // After the control characters, and before the last of them.
    var bounds: Set<Int> = isReadable ? [0x20, 0x7F, 0x80] : []
    for (number, automaton) in automata.enumerated() {
      guard let state = state(number, place) else { continue }
      for transition in automaton.outgoing(state) {
        bounds.insert(Int(transition.low))
        bounds.insert(Int(transition.high) + 1)
      }
    }
    return bounds.sorted()
  }
}
