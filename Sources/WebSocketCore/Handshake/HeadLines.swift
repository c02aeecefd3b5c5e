/// Cuts a head into its lines. Goes on where it stopped when it is asked again with more bytes, so that a head that arrives byte
/// by byte costs no more than one that arrives at once.
struct HeadLines {
  let maximumLength: Int
  /// Without their line ends.
  var ranges: [Range<Int>] = []
  /// Up to and with the empty line.
  var length = 0
  /// Where the line begins that is being read, and how far it is known to be good.
  private var start = 0
  private var index = 0

  init(maximumLength: Int) {
    self.maximumLength = maximumLength
  }

  /// - Parameter bytes: all of the head that has arrived, also what an earlier call has seen.
  /// - Returns: false where the empty line has not come yet.
  mutating func find(in bytes: RawSpan) throws(HandshakeRefusal) -> Bool {
    let end = min(bytes.byteCount, maximumLength)
    while index < end {
      switch bytes[index] {
      case UInt8(ascii: "\r"):
        guard index + 1 < end else { return try endsEarly(bytes) }
        guard bytes[index + 1] == UInt8(ascii: "\n") else {
          throw HandshakeRefusal(.badRequest("a carriage return stands alone"))
        }
        if index == start, !ranges.isEmpty {
          length = index + 2
          return true
        }
        if index > start { ranges.append(start..<index) }
        index += 2
        start = index
      case UInt8(ascii: "\n"): throw HandshakeRefusal(.badRequest("a line feed stands alone"))
      case UInt8(ascii: "\t"), 0x20...0x7E, 0x80...0xFF:
        // RFC 9112 section 5.2: a folded line, or space before the first field.
        if index == start, bytes[index] == UInt8(ascii: " ") || bytes[index] == UInt8(ascii: "\t") {
          throw HandshakeRefusal(.badRequest("a line begins with white space"))
        }
        index += 1
      default: throw HandshakeRefusal(.badRequest("the request head has control characters"))
      }
    }
    return try endsEarly(bytes)
  }

  /// More may come, but not more than is allowed.
  private func endsEarly(_ bytes: RawSpan) throws(HandshakeRefusal) -> Bool {
    guard bytes.byteCount < maximumLength else { throw HandshakeRefusal(.headTooLong) }
    return false
  }
}
