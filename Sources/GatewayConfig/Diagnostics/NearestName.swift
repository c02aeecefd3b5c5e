/// Finds the known name that was probably meant by a misspelt one.
package enum NearestName {
  /// - Returns: the nearest of the known names, if it is near: fewer changes than half its letters, and at most three. What joins
  ///   the words of a name counts for nothing, except between two that are equally near.
  package static func of(_ name: String, in known: some Sequence<String>) -> String? {
    var best: (name: String, distance: (Int, Int))?
    // A letter of another alphabet is no change: it looks like the right one.
    let name = Lookalike.plainText(of: name)
    let letters = Array(folded(name).utf8)
    for candidate in known {
      let allowed = min(3, max(1, (candidate.utf8.count - 1) / 2))
      // The distance is at least that of the lengths, and takes as long as both multiplied.
      guard abs(candidate.utf8.count(where: isLetter) - letters.count) <= allowed else { continue }
      let near = distance(letters, Array(folded(candidate).utf8))
      guard near <= allowed, near <= best?.distance.0 ?? .max else { continue }
      let isLong = name.utf8.count > candidate.utf8.count * 2
      let exact =
        isLong ? Int.max : distance(Array(name.lowercased().utf8), Array(candidate.lowercased().utf8))
      if best.map({ (near, exact) < $0.distance }) ?? true { best = (candidate, (near, exact)) }
    }
    return best?.name
  }

  /// - Returns: the known name that differs only in what joins its words, and in capitals: `keep_alive` of `keepAlive`.
  static func same(as name: String, in known: some Sequence<String>) -> String? {
    let letters = folded(name)
    return known.first { $0.utf8.count(where: isLetter) == letters.utf8.count && folded($0) == letters }
  }

  /// A name without capitals and without what joins its words, which others write otherwise: `keep_alive`, `keep-alive`, `keepAlive`.
  static func folded(_ name: String) -> String {
    String(decoding: name.lowercased().utf8.filter(isLetter), as: UTF8.self)
  }

  /// Whether a byte does more than join the words of a name.
  private static func isLetter(_ byte: UInt8) -> Bool {
    byte != UInt8(ascii: "_") && byte != UInt8(ascii: "-") && byte != UInt8(ascii: " ")
  }

  /// `did you mean "consumer"?`, or the list of what is known where nothing is near and the list is short.
  package static func hint(for name: String, in known: [String], atMost most: Int = 24) -> String? {
    if let nearest = of(name, in: known) { return "did you mean \"\(nearest)\"?" }
    guard !known.isEmpty, known.count <= most else { return nil }
    return "known here: \(known.sorted().joined(separator: ", "))"
  }

  /// The number of letters to insert, remove, exchange or swap with their neighbour.
  private static func distance(_ one: [UInt8], _ other: [UInt8]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...other.count)
    for (row, letter) in one.enumerated() {
      var current = [row + 1]
      for (column, otherLetter) in other.enumerated() {
        var cost = min(
          last[column + 1] + 1, current[column] + 1, last[column] + (letter == otherLetter ? 0 : 1))
        if row > 0, column > 0, letter == other[column - 1], one[row - 1] == otherLetter {
          cost = min(cost, beforeLast[column - 1] + 1)
        }
        current.append(cost)
      }
      (beforeLast, last) = (last, current)
    }
    return last[other.count]
  }
}
