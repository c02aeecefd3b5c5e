import Bytes

/// The names of the fields that most requests consist of. They are found by comparing words of eight bytes, and their strings are there
/// already: no byte is checked by itself, and no string is made. `Tests/Interop/bench_instructions.py` measures handshakes.
enum KnownFieldNames {
  /// In lower case; of letters, digits and `-`, at most `longest` bytes.
  private static let names = [
    "accept", "accept-encoding", "accept-language", "authorization", "cache-control", "connection",
    "content-length", "content-type", "cookie", "host", "idempotency-key", "origin", "pragma", "referer",
    "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-websocket-extensions", "sec-websocket-key",
    "sec-websocket-protocol", "sec-websocket-version", "transfer-encoding", "upgrade", "user-agent", "via",
    "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip",
  ]
  private static let longest = 24

  /// The names by their lengths.
  private static let byLength: [[(words: Words, name: String)]] = {
    var table = [[(words: Words, name: String)]](repeating: [], count: longest + 1)
    for name in names {
      // The words at the end of a name are read with what follows it.
      let bytes = Array((name + "        ").utf8)
      let length = name.utf8.count
      guard let words = Words(bytes.rawBytes, 0..<length) else { continue }
      table[length].append((words, name))
    }
    return table
  }()

  /// The name that the bytes are, in upper or lower case; nil for any other.
  ///
  /// - Parameter range: followed by the rest of a head.
  static func find(_ bytes: RawSpan, _ range: Range<Int>) -> String? {
    guard range.count <= longest, let words = Words(bytes, range) else { return nil }
    for known in byLength[range.count] where known.words == words { return known.name }
    return nil
  }

  /// Up to 24 bytes in three words, which overlap in shorter names. Letters are in lower case.
  private struct Words: Equatable {
    private var first: UInt64
    private var middle: UInt64 = 0
    private var last: UInt64 = 0

    /// - Returns: nil for an empty name, and where less than eight bytes can be read.
    init?(_ bytes: RawSpan, _ range: Range<Int>) {
      guard !range.isEmpty, range.lowerBound + 8 <= bytes.byteCount else { return nil }
      first = Self.word(bytes, at: range.lowerBound)
      if range.count < 8 {
        first &= 1 << (8 * UInt64(range.count)) - 1
      } else {
        middle = Self.word(bytes, at: min(range.lowerBound + 8, range.upperBound - 8))
        last = Self.word(bytes, at: range.upperBound - 8)
      }
    }

    /// The bit of lower case also turns `@`, `[` to `_` and control characters into others. Of these, only control characters become what
    /// stands in a name, a digit or `-`, and the lines of a head have none.
    private static func word(_ bytes: RawSpan, at offset: Int) -> UInt64 {
      UInt64(littleEndian: bytes.integer(at: offset, as: UInt64.self)) | 0x2020_2020_2020_2020
    }
  }
}
