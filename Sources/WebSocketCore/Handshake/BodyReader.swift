import Bytes

/// Reads the body of one message from bytes as they arrive, by its length or in chunks (RFC 9112 sections 6 and 7.1).
///
/// It copies nothing: it says which of the given bytes are content. Whatever it is not sure about is a fault: bare line ends,
/// spaces around a chunk's size, control characters. The extensions of chunks and the trailers are checked, bounded and dropped.
public struct BodyReader: Sendable {
  public enum Step: Sendable, Equatable {
    /// The content of the body goes on with these of the given bytes; never empty.
    case content(Range<Int>)
    /// All given bytes are read, and the body has more.
    case incomplete
    /// The body ends before the offset.
    case complete
    /// Nothing behind it can be understood.
    case malformed(RequestFault)
  }

  private enum Place {
    /// In a body with a length.
    case content(left: Int)
    /// In the digits of a chunk's size.
    case size(Int, digits: Int)
    /// In a chunk's extensions, which are not looked into.
    case extensions(size: Int)
    /// Before the line feed behind a chunk's size.
    case sizeEnd(Int)
    case chunk(left: Int)
    /// Behind a chunk: before its carriage return, and before its line feed.
    case chunkEnd
    case chunkLineFeed
    /// At the beginning of a trailer or of the empty line behind them all.
    case trailerStart
    case trailerName
    case trailerValue
    case trailerLineFeed
    case lastLineFeed
    case end
    case failed(RequestFault)
  }

  /// The most bytes of all extensions and trailers together, as many as a request head may have.
  public static let mostBesideContent = 16 * 1024
  /// A size of so many digits fits.
  private static let mostDigits = 15

  private var place: Place
  private var besideContent = 0

  public init(_ framing: BodyFraming) {
    switch framing {
    case .none, .length(0): place = .end
    case .length(let length): place = .content(left: length)
    case .chunked: place = .size(0, digits: 0)
    }
  }

  /// Whether the whole body was read.
  public var isComplete: Bool {
    if case .end = place { true } else { false }
  }

  /// Reads on, up to the next content or the end of the body.
  ///
  /// - Parameter offset: of the first byte that was not read; moves behind what is read now.
  public mutating func next(in bytes: RawSpan, at offset: inout Int) -> Step {
    while true {
      switch place {
      case .end: return .complete
      case .failed(let fault): return .malformed(fault)
      case .content(let left):
        guard let range = take(left, of: bytes, at: &offset) else { return .incomplete }
        place = range.count == left ? .end : .content(left: left - range.count)
        return .content(range)
      case .chunk(let left):
        guard let range = take(left, of: bytes, at: &offset) else { return .incomplete }
        place = range.count == left ? .chunkEnd : .chunk(left: left - range.count)
        return .content(range)
      default:
        guard offset < bytes.byteCount else { return .incomplete }
        take(bytes[offset])
        offset += 1
      }
    }
  }

  private func take(_ left: Int, of bytes: RawSpan, at offset: inout Int) -> Range<Int>? {
    let start = offset
    offset = start + min(left, bytes.byteCount - start)
    return offset > start ? start..<offset : nil
  }

  // MARK: - Between the content

  private static let carriageReturn = UInt8(ascii: "\r")
  private static let lineFeed = UInt8(ascii: "\n")

  private mutating func take(_ byte: UInt8) {
    switch place {
    case .size(let size, let digits): takeSize(size, digits, byte)
    case .extensions(let size):
      if byte == Self.carriageReturn { place = .sizeEnd(size) } else { takeBesideContent(byte) }
    case .sizeEnd(let size): expect(Self.lineFeed, byte, size == 0 ? .trailerStart : .chunk(left: size))
    case .chunkEnd: expect(Self.carriageReturn, byte, .chunkLineFeed)
    case .chunkLineFeed: expect(Self.lineFeed, byte, .size(0, digits: 0))
    case .trailerStart, .trailerName, .trailerValue: takeTrailer(byte)
    case .trailerLineFeed: expect(Self.lineFeed, byte, .trailerStart)
    case .lastLineFeed: expect(Self.lineFeed, byte, .end)
    case .content, .chunk, .end, .failed: break
    }
  }

  /// RFC 9112 section 7.1: chunk-size [ chunk-ext ] CRLF.
  private mutating func takeSize(_ size: Int, _ digits: Int, _ byte: UInt8) {
    if let digit = byte.hexadecimalValue, digits < Self.mostDigits {
      place = .size(size << 4 | Int(digit), digits: digits + 1)
      return
    }
    switch byte {
    case Self.carriageReturn where digits > 0: place = .sizeEnd(size)
    case UInt8(ascii: ";") where digits > 0:
      place = .extensions(size: size)
      takeBesideContent(byte)
    default: fail("a chunk of the body does not begin with its size")
    }
  }

  /// Section 7.1.2: *( field-line CRLF ).
  private mutating func takeTrailer(_ byte: UInt8) {
    switch (place, byte) {
    case (.trailerStart, Self.carriageReturn): place = .lastLineFeed
    case (.trailerValue, Self.carriageReturn): place = .trailerLineFeed
    case (.trailerName, UInt8(ascii: ":")):
      place = .trailerValue
      takeBesideContent(byte)
    case (.trailerValue, _): takeBesideContent(byte)
    default:
      guard Token.has(byte) else { return failInField() }
      place = .trailerName
      takeBesideContent(byte)
    }
  }

  private mutating func expect(_ expected: UInt8, _ byte: UInt8, _ next: Place) {
    guard byte == expected else { return fail("a line does not end with CR and LF where it should") }
    place = next
  }

  /// A character of an extension or a trailer.
  private mutating func takeBesideContent(_ byte: UInt8) {
    besideContent += 1
    guard besideContent <= Self.mostBesideContent else {
      place = .failed(.headTooLong)
      return
    }
    if !byte.isInFieldValue { failInField() }
  }

  private mutating func failInField() {
    fail("a header name is not a valid token, or a header value has control characters")
  }

  private mutating func fail(_ text: String) {
    place = .failed(.badRequest(text))
  }
}
