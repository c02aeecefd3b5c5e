/// Finds the known name that was probably meant by a misspelt one.
package enum NearestName {
  /// - Returns: the nearest of the known names, if it is near: fewer changes than half its letters, and at most three.
  static func of(_ name: String, in known: some Sequence<String>) -> String? {
    var best: (name: String, distance: Int)?
    // A letter of another alphabet is no change: it looks like the right one.
    let name = Lookalike.plainText(of: name)
    for candidate in known {
      let allowed = min(3, max(1, (candidate.utf8.count - 1) / 2))
      // The distance is at least that of the lengths, and takes as long as both multiplied.
      guard abs(candidate.utf8.count - name.utf8.count) <= allowed else { continue }
      let distance = distance(Array(name.lowercased().utf8), Array(candidate.lowercased().utf8))
      if distance <= allowed, distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.name
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
