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
}

/// A size in bytes, written with its unit: `512B`, `64KiB`, `1MiB`, `1GiB`.
package struct ByteCount: Sendable, Hashable, Comparable {
  package var bytes: Int

  package static func kibibytes(_ count: Int) -> ByteCount { ByteCount(bytes: count << 10) }
  package static func mebibytes(_ count: Int) -> ByteCount { ByteCount(bytes: count << 20) }

  package static func < (one: ByteCount, other: ByteCount) -> Bool { one.bytes < other.bytes }
}
