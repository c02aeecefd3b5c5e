/// Runs of combining marks, which Unicode's normal forms sort (UAX #15).
///
/// `String` compares and hashes by normal forms, and sorts a run in quadratic time: one of half a megabyte keeps a thread busy for
/// minutes. So foreign text that is going to be compared or hashed is held to the bound of UAX #15's Stream-Safe Text Format,
/// which no writing system comes near.
public enum CombiningMarks {
  /// The longest run that is taken; UAX #15, definition D3.
  public static let longestRun = 30
}

extension StringProtocol {
  /// Whether more than `CombiningMarks.longestRun` combining marks stand behind each other, also as they are written in full.
  ///
  /// Linear in the text, and nearly free for ASCII.
  public var hasTooManyMarks: Bool {
    guard !utf8.allSatisfy({ $0 < 0x80 }) else { return false }
    var run = 0
    for scalar in unicodeScalars {
      // No mark stands before U+0300.
      if scalar.value >= 0x300, scalar.properties.canonicalCombiningClass != .notReordered {
        run += 1
        if run > CombiningMarks.longestRun { return true }
      } else {
        run = 0
      }
    }
    return false
  }
}
