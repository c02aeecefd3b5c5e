import Bytes

/// Reads the answer to one request from bytes as they arrive, and skips the interim answers before it (RFC 9110 section 15.2).
///
/// The server decides what it sends and in how many pieces, so both are bounded: the number of interim answers, and the bytes
/// up to the end of the head. Each byte is read once.
public struct ResponseReader {
  public enum Outcome: Equatable {
    case incomplete
    /// The head of the final answer, or of one that switches protocols.
    case complete(ResponseHead)
    /// The text says what is wrong, for the operator.
    case malformed(String)
  }

  /// The maximum of bytes up to the end of the head, including interim answers.
  public static let longest = 64 * 1024
  public static let mostInterimAnswers = 32

  /// The received bytes: of the heads at first, and of the data after the last head from then on.
  private var bytes: [UInt8] = []
  /// The start of the current head.
  private var start = 0
  private var lines = HeadLines(maximumLength: longest)
  private var interimAnswers = 0

  public init() {}

  /// The bytes after the head; empty until the head is complete.
  public private(set) var rest: [UInt8] = []

  /// Reads the next bytes. Must not be called again after `complete` or `malformed`.
  public mutating func read(_ new: RawSpan) -> Outcome {
    bytes.append(copying: new)
    while true {
      let known = bytes
      switch ResponseHead.parse(known.rawBytes.extracting(start..<known.count), &lines) {
      case .incomplete: return .incomplete
      case .malformed(let fault):
        guard fault != ResponseHead.tooLong else {
          return .malformed("the head of the answer does not end within 64 KiB, interim answers included")
        }
        return .malformed(fault)
      case .complete(let head, let length):
        start += length
        guard (100...199).contains(head.status), head.status != 101 else {
          rest = Array(bytes[start...])
          bytes = []
          return .complete(head)
        }
        interimAnswers += 1
        guard interimAnswers <= Self.mostInterimAnswers else {
          return .malformed("the server sent more than \(Self.mostInterimAnswers) interim answers")
        }
        lines = HeadLines(maximumLength: Self.longest - start)
      }
    }
  }
}
