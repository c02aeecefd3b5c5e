import Bytes
import NIOCore

/// Cuts the bytes of one HTTP/1 connection into portions that never go beyond the end of a request.
///
/// It finds only the places where a request can end: an empty line, the last byte of a body, the empty line after the last
/// chunk. The parser decides whether a request ends there, and says what follows a head. A portion that is too short does no
/// harm, so nothing has to be interpreted here in a way that could differ from the parser.
struct RequestPortions {
  /// What follows a request head.
  enum Body: Equatable {
    /// That many bytes; 0 where there is no body.
    case length(Int)
    case chunked
  }

  private enum Place {
    /// Before a request line. Empty lines there do not belong to a request.
    case betweenRequests
    /// In a head or in the trailers, and whether the line is empty or only a CR so far.
    case lines(isEmpty: Bool)
    case body(left: Int)
    /// In the line at the start of a chunk. `size` is nil before its first digit.
    case chunkLine(size: Int?, isBehindDigits: Bool)
    case chunk(left: Int)
  }

  /// The most chunks in one portion, so that many tiny chunks become few parts at a time.
  private static let mostChunks = 16

  private var place = Place.betweenRequests

  /// Whether the next byte belongs to a request whose start has been passed on.
  var isInsideRequest: Bool {
    if case .betweenRequests = place { false } else { true }
  }

  /// Whether the next portion belongs to a head or to the trailers, and not to a body.
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

  /// - Returns: the length of the next portion, which is consumed; at least one byte if there are any.
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

  /// Consumes a byte of a line.
  ///
  /// - Returns: whether a request, or its head, can end with it.
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
        // The line feed after the previous chunk.
        case nil: place = .chunkLine(size: nil, isBehindDigits: false)
        case 0?: place = .lines(isEmpty: true)
        case let size?: place = .chunk(left: size)
        }
        return false
      }
      if !isBehindDigits, let digit = byte.hexadecimalValue {
        place = .chunkLine(size: Self.appended(Int(digit), to: size ?? 0), isBehindDigits: false)
      } else {
        place = .chunkLine(size: size, isBehindDigits: size != nil)
      }
    case .body, .chunk: break
    }
    return false
  }

  /// A size beyond the parser's limit is treated as endless.
  private static func appended(_ digit: Int, to size: Int) -> Int {
    let (high, isOver) = size.multipliedReportingOverflow(by: 16)
    return isOver ? .max : max(high, high | digit)
  }
}
