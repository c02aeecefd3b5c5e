/// A size in bytes, written with its unit: `512B`, `64KiB`, `1MiB`, `1GiB`.
package struct ByteCount: Sendable, Hashable, Comparable {
  package var bytes: Int

  package init(bytes: Int) {
    self.bytes = bytes
  }

  package static func kibibytes(_ count: Int) -> ByteCount { ByteCount(bytes: count << 10) }
  package static func mebibytes(_ count: Int) -> ByteCount { ByteCount(bytes: count << 20) }

  package static func < (one: ByteCount, other: ByteCount) -> Bool { one.bytes < other.bytes }
}
