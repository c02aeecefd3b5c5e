/// How two tables of routes divide the paths: which route of the one answers each of them, and which route of the other.
///
/// It is decided on the automata of the tables, so the notation of a pattern and the order of routes count only as far as they change
/// what is answered.
package struct TableComparison: Sendable {
  /// All paths that the same two routes answer.
  package struct Part: Sendable, Hashable {
    /// The index in the old table; nil where no route answers.
    package var old: Int?
    /// The same in the new table. One of the two is not nil.
    package var new: Int?
    /// The shortest of the paths, without the slash at its beginning.
    package var example: String

    package init(old: Int?, new: Int?, example: String) {
      self.old = old
      self.new = new
      self.example = example
    }
  }

  /// In the order of the new routes, then of the old ones. Paths that no route answers in either table are left out.
  package private(set) var parts: [Part] = []
  /// Whether there is no other part. If false, a table is too large to be compared as a whole, or the budget was used up.
  package private(set) var isComplete: Bool

  package init(_ old: Router, _ new: Router, budget: WorkBudget) {
    guard let one = old.onlyAutomaton, let other = new.onlyAutomaton else {
      isComplete = false
      return
    }
    var search = PartSearch(old: one, new: other, budget: budget)
    // The first search is for paths that a person can read, and the second one for what only other paths lead to.
    isComplete = search.run(isReadable: true) && search.run(isReadable: false)
    parts = search.parts.map(\.value).sorted { Self.rank($0) < Self.rank($1) }
  }

  private static func rank(_ part: Part) -> (Int, Int) { (part.new ?? .max, part.old ?? .max) }
}

extension Router {
  /// The automaton of a table; nil if it is split into several.
  var onlyAutomaton: TableAutomaton? {
    guard automata.count <= 1 else { return nil }
    guard let piece = automata.first else { return TableAutomaton(automaton: nil, firstRoute: 0) }
    return TableAutomaton(automaton: piece.automaton, firstRoute: piece.firstRoute)
  }
}

/// An automaton, or none for a table without routes.
struct TableAutomaton {
  /// A state from which no route can be reached.
  static let stopped: Int32 = -1

  let automaton: Automaton?
  /// The index in the table of the first route in the automaton.
  let firstRoute: Int

  var start: Int32 { automaton == nil ? Self.stopped : 0 }

  func next(_ state: Int32, _ byte: UInt8) -> Int32 {
    guard state >= 0, let next = automaton?.next(Int(state), byte) else { return Self.stopped }
    return Int32(next)
  }

  /// The route that answers a path that ends there.
  func winner(_ state: Int32) -> Int? {
    guard state >= 0, let winner = automaton?.winners[Int(state)], winner >= 0 else { return nil }
    return firstRoute + Int(winner)
  }

  /// Adds the bytes at which something else follows.
  func addCuts(of state: Int32, to cuts: inout [UInt16]) {
    guard state >= 0, let automaton else { return }
    for transition in automaton.outgoing(Int(state)) {
      cuts.append(UInt16(transition.low))
      cuts.append(UInt16(transition.high) + 1)
    }
  }
}

/// Goes over the automata of two tables side by side, the shortest paths first. The pairs of their states are finite, so a search
/// that ends has seen every pair of routes.
private struct PartSearch {
  private struct Place: Hashable {
    var old: Int32
    var new: Int32
  }

  struct Pair: Hashable {
    var old: Int?
    var new: Int?
  }

  let old: TableAutomaton
  let new: TableAutomaton
  let budget: WorkBudget
  private(set) var parts: [Pair: TableComparison.Part] = [:]

  init(old: TableAutomaton, new: TableAutomaton, budget: WorkBudget) {
    self.old = old
    self.new = new
    self.budget = budget
  }

  /// - Returns: false if the budget was used up before the end.
  mutating func run(isReadable: Bool) -> Bool {
    var paths = ShortestPaths<Place, UInt8>(from: Place(old: old.start, new: new.start))
    var cuts: [UInt16] = []
    while let place = paths.next() {
      note(place, paths)
      cuts.removeAll(keepingCapacity: true)
      if isReadable { cuts += [0x20, 0x7F, 0x80] }
      old.addCuts(of: place.old, to: &cuts)
      new.addCuts(of: place.new, to: &cuts)
      cuts.sort()
      guard budget.spend(1 + cuts.count) else { return false }
      for stretch in AutomatonBuilder.stretches(cuts) {
        let low = stretch.lowerBound
        if isReadable, low < 0x20 || low == 0x7F { continue }
        let following = Place(old: old.next(place.old, low), new: new.next(place.new, low))
        guard following.old >= 0 || following.new >= 0 else { continue }
        paths.reach(following, from: place, by: AutomatonBuilder.readable(stretch))
      }
    }
    return true
  }

  private mutating func note(_ place: Place, _ paths: ShortestPaths<Place, UInt8>) {
    let pair = Pair(old: old.winner(place.old), new: new.winner(place.new))
    guard pair.old != nil || pair.new != nil, parts[pair] == nil else { return }
    let path = paths.steps(to: place)
    // A longer path matches nothing, and all that lead here are as long.
    guard path.count <= Router.longestPath else { return }
    parts[pair] = .init(old: pair.old, new: pair.new, example: String(decoding: path, as: UTF8.self))
  }
}

extension AutomatonBuilder {
  /// The stretches between cuts, those with bytes that make an example easy to read first.
  ///
  /// - Parameter cuts: sorted; up to 256, and each may be there several times.
  static func stretches(_ cuts: [UInt16]) -> [ClosedRange<UInt8>] {
    var stretches: [ClosedRange<UInt8>] = []
    for (low, end) in zip(cuts, cuts.dropFirst()) where low < end {
      stretches.append(UInt8(low)...UInt8(end - 1))
    }
    guard stretches.count > 1 else { return stretches }
    let ranked = stretches.map { (rank: rank(of: readable($0)), stretch: $0) }
    return ranked.sorted { ($0.rank, $0.stretch.lowerBound) < ($1.rank, $1.stretch.lowerBound) }.map(
      \.stretch)
  }

  static func rank(of byte: UInt8) -> Int {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"): 0
    case UInt8(ascii: "0")...UInt8(ascii: "9"): 1
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): 2
    case 0x21...0x7E: 3
    default: 4
    }
  }
}
