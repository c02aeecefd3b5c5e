/// A set of Unicode scalars: sorted ranges that neither touch nor overlap.
struct CharacterRanges: Sendable, Hashable {
  private(set) var ranges: [ClosedRange<UInt32>]

  static let nothing = CharacterRanges([])
  static let everything = CharacterRanges([0...0xD7FF, 0xE000...0x10FFFF])
  static let digits = CharacterRanges([0x30...0x39])
  /// `\w` in ASCII.
  static let word = CharacterRanges([0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
  /// `\s` in ASCII, as Python's `re.ASCII`.
  static let space = CharacterRanges([0x09...0x0D, 0x20...0x20])

  init(_ ranges: [ClosedRange<UInt32>]) {
    self.ranges = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = self.ranges.last, range.lowerBound <= last.upperBound + 1 {
        self.ranges[self.ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        self.ranges.append(range)
      }
    }
  }

  init(_ scalar: Unicode.Scalar) {
    ranges = [scalar.value...scalar.value]
  }

  /// Every scalar that is not in the set.
  var inverted: CharacterRanges {
    var result: [ClosedRange<UInt32>] = []
    for whole in Self.everything.ranges {
      var next = whole.lowerBound
      for range in ranges where range.overlaps(whole) {
        if range.lowerBound > next { result.append(next...(range.lowerBound - 1)) }
        next = range.upperBound + 1
      }
      if next <= whole.upperBound { result.append(next...whole.upperBound) }
    }
    return CharacterRanges(result)
  }

  func union(_ other: CharacterRanges) -> CharacterRanges { CharacterRanges(ranges + other.ranges) }

  func intersection(_ other: CharacterRanges) -> CharacterRanges {
    CharacterRanges(ranges.flatMap { range in other.ranges.filter(range.overlaps).map(range.clamped) })
  }

  /// The characters beyond ASCII that Python considers equal to an ASCII letter when case is ignored.
  private static let equals: [(letter: UInt32, others: [ClosedRange<UInt32>])] = [
    (0x69, [0x130...0x131]), (0x6B, [0x212A...0x212A]), (0x73, [0x17F...0x17F]),
  ]

  /// The set with both cases of every ASCII letter in it, and the characters that are equal to them.
  var caseInsensitive: CharacterRanges {
    var more = ranges
    for (letter, others) in Self.equals
    where ranges.contains(where: { $0.contains(letter) || $0.contains(letter - 32) }) {
      more += others
    }
    for range in ranges {
      for (first, last, shift) in [(UInt32(0x41), UInt32(0x5A), 32), (0x61, 0x7A, -32)] {
        let low = max(range.lowerBound, first)
        let high = min(range.upperBound, last)
        guard low <= high else { continue }
        more.append(UInt32(Int(low) + shift)...UInt32(Int(high) + shift))
      }
    }
    return CharacterRanges(more)
  }
}
