import JSON

/// The first names of a set that may be large, in the order of their bytes: kept as names come and go, because to sort them all
/// for each list would cost more than everything else.
struct FirstNames {
  /// How many are given.
  private let most: Int
  /// Always the very first ones of the set; at most twice as many as are given, so that some can go before others are looked for.
  private var names: [ExactText] = []
  /// Whether the set has others behind them.
  private var hasMore = false

  init(most: Int = PresenceList.mostUsers) {
    self.most = most
  }

  mutating func insert(_ name: ExactText) {
    let place = place(of: name)
    guard place < names.count || !hasMore else { return }
    names.insert(name, at: place)
    guard names.count > 2 * most else { return }
    names.removeLast()
    hasMore = true
  }

  mutating func remove(_ name: ExactText) {
    let place = place(of: name)
    guard place < names.count, names[place] == name else { return }
    names.remove(at: place)
  }

  /// - Parameter all: the whole set, for when too many of the first ones have gone.
  mutating func prefix(of all: some Collection<ExactText>) -> ArraySlice<ExactText> {
    if hasMore, names.count < most {
      let sorted = all.sorted(by: Self.precedes)
      names = Array(sorted.prefix(2 * most))
      hasMore = sorted.count > names.count
    }
    return names.prefix(most)
  }

  /// Where the name is, or would be.
  private func place(of name: ExactText) -> Int {
    var (low, high) = (0, names.count)
    while low < high {
      let middle = (low + high) / 2
      if Self.precedes(names[middle], name) { low = middle + 1 } else { high = middle }
    }
    return low
  }

  static func precedes(_ one: ExactText, _ other: ExactText) -> Bool {
    one.text.utf8.lexicographicallyPrecedes(other.text.utf8)
  }
}
