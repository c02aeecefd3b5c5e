/// The bound of the Stream-Safe Text Format (UAX #15, definition D3).
private let mostMarks = 30

extension StringProtocol {
  /// Whether the text has too many combining marks in a row, also in its decomposed form. Takes linear time, and is nearly
  /// free for ASCII.
  ///
  /// `String` compares and hashes by normal forms, and sorts a run of marks in quadratic time: a run of half a megabyte keeps a
  /// thread busy for minutes. Foreign text that is compared or hashed is therefore limited to `mostMarks`, which no writing
  /// system comes near.
  public var hasTooManyMarks: Bool {
    hasTooManyMarksAnywhere
  }

  fileprivate var hasTooManyMarksAnywhere: Bool {
    guard !utf8.allSatisfy({ $0 < 0x80 }) else { return false }
    var run = 0
    for scalar in unicodeScalars {
      // There are no marks before U+0300.
      if scalar.value >= 0x300, scalar.properties.canonicalCombiningClass != .notReordered {
        run += 1
        if run > mostMarks { return true }
      } else {
        run = 0
      }
    }
    return false
  }
}

extension String {
  /// The same. Most strings know that they are ASCII, so that no byte is looked at.
  public var hasTooManyMarks: Bool {
    utf8Span.isKnownASCII ? false : hasTooManyMarksAnywhere
  }
}
