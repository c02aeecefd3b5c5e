import Bytes

/// What the bytes of the head of a message are, as far as they have arrived.
public enum HeadReading<Head: Sendable & Equatable, Fault: Sendable & Equatable>: Sendable, Equatable {
  /// The bytes are valid so far, but not complete.
  case incomplete
  /// The head, and its length in bytes, including the empty line.
  case complete(Head, length: Int)
  case malformed(Fault)
}

/// Cuts a head into its lines. A later call with more bytes continues where the last one stopped, so that a head that arrives
/// byte by byte costs no more than one that arrives at once.
struct HeadLines {
  let maximumLength: Int
  /// Without their line ends.
  var ranges: [Range<Int>] = []
  /// The length of the head, including the empty line.
  var length = 0
  /// Whether a byte is not ASCII.
  private var hasOtherBytes = false
  /// The start of the current line, and the offset up to which it is checked.
  private var start = 0
  private var index = 0

  init(maximumLength: Int) {
    self.maximumLength = maximumLength
    ranges.reserveCapacity(Self.usualLines)
  }

  /// Most heads have no more lines, and their list is allocated once.
  private static let usualLines = 16

  /// - Parameter bytes: all bytes of the head so far, including those of earlier calls.
  /// - Returns: false if the empty line has not arrived yet.
  mutating func find(in bytes: RawSpan) throws(RequestFault) -> Bool {
    let end = min(bytes.byteCount, maximumLength)
    while index < end {
      // RFC 9112 section 5.2: a folded line, or space before the first field.
      if index == start, bytes[index] == UInt8(ascii: " ") || bytes[index] == UInt8(ascii: "\t") {
        throw RequestFault.badRequest("a line begins with white space")
      }
      // Most of a head is, and to pass over it a word at a time takes a fifth of the time.
      index = min(bytes.skipPrintable(from: index), end)
      guard index < end else { break }
      switch bytes[index] {
      case UInt8(ascii: "\r"):
        guard index + 1 < end else { return try endsEarly(bytes) }
        guard bytes[index + 1] == UInt8(ascii: "\n") else {
          throw RequestFault.badRequest("a carriage return stands alone")
        }
        if index == start, !ranges.isEmpty {
          length = index + 2
          return true
        }
        if index > start { ranges.append(start..<index) }
        index += 2
        start = index
      case UInt8(ascii: "\n"): throw RequestFault.badRequest("a line feed stands alone")
      case UInt8(ascii: "\t"), 0x20...0x7E: index += 1
      case 0x80...0xFF:
        hasOtherBytes = true
        index += 1
      default: throw RequestFault.badRequest("the request head has control characters")
      }
    }
    return try endsEarly(bytes)
  }

  /// The fields of the lines after the first one.
  func fields(of bytes: RawSpan) throws(RequestFault) -> [HeaderField] {
    var fields: [HeaderField] = []
    fields.reserveCapacity(ranges.count)
    for range in ranges.dropFirst() {
      fields.append(try HeaderField(bytes, range, isASCII: !hasOtherBytes))
    }
    return fields
  }

  /// The head may continue, but not beyond the maximum.
  private func endsEarly(_ bytes: RawSpan) throws(RequestFault) -> Bool {
    guard bytes.byteCount < maximumLength else { throw RequestFault.headTooLong }
    return false
  }
}
