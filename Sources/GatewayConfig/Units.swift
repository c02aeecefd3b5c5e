extension Duration {
  /// The value in the notation of a configuration file: `500ms`, `30s`, `5m`.
  package var written: String {
    let milliseconds = self / .milliseconds(1)
    for (unit, size) in [("d", 86_400_000.0), ("h", 3_600_000), ("m", 60_000), ("s", 1000)]
    where milliseconds >= size && milliseconds.truncatingRemainder(dividingBy: size) == 0 {
      return "\(Int(milliseconds / size))\(unit)"
    }
    return "\(Int(milliseconds))ms"
  }

  /// The units of times, the likeliest first.
  package static let units: [(name: String, size: Duration)] = [
    ("s", .seconds(1)), ("m", .seconds(60)), ("ms", .milliseconds(1)), ("h", .seconds(3600)),
    ("d", .seconds(86400)),
  ]

  /// Reads a time in the notation of a configuration file, where it is not part of one: a command line, or a request.
  ///
  /// - Returns: nil for any other text, and for a time out of the range.
  package init?(written text: String, in range: ClosedRange<Duration>) {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard let number = Int(digits),
      let unit = Self.units.first(where: { $0.name == text[digits.endIndex...] }),
      Double(number) <= range.upperBound / unit.size, range.contains(unit.size * number)
    else { return nil }
    self = unit.size * number
  }
}

/// A size in bytes, written with its unit: `512B`, `64KiB`, `1MiB`, `1GiB`.
package struct ByteCount: Sendable, Hashable, Comparable {
  package var bytes: Int

  package static func kibibytes(_ count: Int) -> ByteCount { ByteCount(bytes: count << 10) }
  package static func mebibytes(_ count: Int) -> ByteCount { ByteCount(bytes: count << 20) }

  package static func < (one: ByteCount, other: ByteCount) -> Bool { one.bytes < other.bytes }
}
