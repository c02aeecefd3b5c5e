import Bytes
import JSON

/// The first names of a set that may be large, in the order of their bytes. They are kept sorted as names come and go, because
/// sorting all names for each list would cost more than everything else.
struct FirstNames {
  /// How many names are given.
  private let most: Int
  /// Always the very first names of the set. At most twice as many as are given, so that some can be removed before others have
  /// to be found.
  private var names: [ExactText] = []
  /// Whether the set has more names after them.
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

  /// - Parameter all: the whole set, in case too many of the first names were removed.
  mutating func prefix(of all: some Collection<ExactText>) -> ArraySlice<ExactText> {
    if hasMore, names.count < most {
      let sorted = all.sorted(by: Self.precedes)
      names = Array(sorted.prefix(2 * most))
      hasMore = sorted.count > names.count
    }
    return names.prefix(most)
  }

  /// The index of the name, or the index where it would be inserted.
  private func place(of name: ExactText) -> Int {
    names.partitionPoint { Self.precedes($0, name) }
  }

  static func precedes(_ one: ExactText, _ other: ExactText) -> Bool {
    one.text.utf8.lexicographicallyPrecedes(other.text.utf8)
  }
}
