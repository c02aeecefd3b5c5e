import NIOCore

/// Cuts the bytes of one HTTP/1 connection into portions, none of which goes beyond the end of a request.
///
/// It finds only the places where a request can end: an empty line, the last byte of a body, the empty line behind the last
/// chunk. The parser decides whether a request ends there, and says what follows a head. A portion that is too short does no
/// harm, so that nothing has to be understood here that the parser may understand differently.
struct RequestPortions {
  /// What follows a request head.
  enum Body: Equatable {
    /// That many bytes; 0 where there is no body.
    case length(Int)
    case chunked
  }

  private enum Place {
    /// Before a request line; empty lines there belong to no request.
    case betweenRequests
    /// In a head or in the trailers; whether the line has had nothing but a CR so far.
    case lines(isEmpty: Bool)
    case body(left: Int)
    /// In the line that begins a chunk. `size` is nil before its first digit.
    case chunkLine(size: Int?, isBehindDigits: Bool)
    case chunk(left: Int)
  }

  /// Chunks in one portion, so that many tiny ones become few parts at a time.
  private static let mostChunks = 16

  private var place = Place.betweenRequests

  /// Whether the next byte belongs to a request whose beginning has been handed on.
  var isInsideRequest: Bool {
    if case .betweenRequests = place { false } else { true }
  }

  /// Whether the next portion is of a head, or of the trailers, and not of a body.
  var isInsideHead: Bool {
    switch place {
    case .betweenRequests, .lines: true
    case .body, .chunkLine, .chunk: false
    }
  }

  /// The parser has read a head, at the end of the last portion.
  mutating func headEnded(_ body: Body) {
    switch body {
    case .length(0): place = .betweenRequests
    case .length(let length): place = .body(left: length)
    case .chunked: place = .chunkLine(size: nil, isBehindDigits: false)
    }
  }

  /// The parser has read the end of a request, at the end of the last portion.
  mutating func requestEnded() {
    place = .betweenRequests
  }

  /// - Returns: how many of the bytes are the next portion, which is taken now; at least one, where there are any.
  mutating func next(of bytes: ByteBufferView) -> Int {
    var position = bytes.startIndex
    var chunks = 0
    while position < bytes.endIndex {
      switch place {
      case .body(let left):
        let count = min(left, bytes.endIndex - position)
        place = count == left ? .betweenRequests : .body(left: left - count)
        return position + count - bytes.startIndex
      case .chunk(let left):
        let count = min(left, bytes.endIndex - position)
        position += count
        guard count == left else {
          place = .chunk(left: left - count)
          continue
        }
        place = .chunkLine(size: nil, isBehindDigits: false)
        chunks += 1
        if chunks == Self.mostChunks { return position - bytes.startIndex }
      default:
        let byte = bytes[position]
        position += 1
        if take(byte) { return position - bytes.startIndex }
      }
    }
    return position - bytes.startIndex
  }

  /// Takes a byte of a line.
  ///
  /// - Returns: whether a request can end with it, or its head.
  private mutating func take(_ byte: UInt8) -> Bool {
    let isLineFeed = byte == UInt8(ascii: "\n")
    let isReturn = byte == UInt8(ascii: "\r")
    switch place {
    case .betweenRequests:
      if !isLineFeed, !isReturn { place = .lines(isEmpty: false) }
    case .lines(let isEmpty):
      if isLineFeed {
        place = .lines(isEmpty: true)
        return isEmpty
      }
      if isEmpty, !isReturn { place = .lines(isEmpty: false) }
    case .chunkLine(let size, let isBehindDigits):
      guard !isLineFeed else {
        switch size {
        // The line feed behind the chunk before.
        case nil: place = .chunkLine(size: nil, isBehindDigits: false)
        case 0?: place = .lines(isEmpty: true)
        case let size?: place = .chunk(left: size)
        }
        return false
      }
      if !isBehindDigits, let digit = Self.digit(byte) {
        place = .chunkLine(size: Self.appended(digit, to: size ?? 0), isBehindDigits: false)
      } else {
        place = .chunkLine(size: size, isBehindDigits: size != nil)
      }
    case .body, .chunk: break
    }
    return false
  }

  private static func digit(_ byte: UInt8) -> Int? {
    Character(Unicode.Scalar(byte)).hexDigitValue
  }

  /// More than the parser takes is as good as endless.
  private static func appended(_ digit: Int, to size: Int) -> Int {
    let (high, isOver) = size.multipliedReportingOverflow(by: 16)
    return isOver ? .max : max(high, high | digit)
  }
}
