/// Reads the answer to one request from bytes as they arrive, and passes over the interim answers before it (RFC 9110 section 15.2).
///
/// A server decides what it sends and in how many pieces, so both are bounded: the number of interim answers, and the bytes up to
/// the end of the head. Each byte is looked at once.
public struct ResponseReader {
  public enum Outcome: Equatable {
    case incomplete
    /// The head of the final answer, or of one that switches protocols.
    case complete(ResponseHead)
    /// The text says what is wrong, for the operator.
    case malformed(String)
  }

  /// Bytes up to the end of the head, those of the interim answers included.
  public static let longest = 64 * 1024
  public static let mostInterimAnswers = 32

  /// What has arrived: of the heads while one is read, and of what is behind the last head from then on.
  private var bytes: [UInt8] = []
  /// Where the head begins that is being read.
  private var start = 0
  private var lines = HeadLines(maximumLength: longest)
  private var interimAnswers = 0

  public init() {}

  /// What came behind the head; empty before that is complete.
  public private(set) var rest: [UInt8] = []

  /// Takes the next bytes. Not to be called again after it was complete or malformed.
  public mutating func read(_ new: RawSpan) -> Outcome {
    bytes.append(copying: new)
    while true {
      let known = bytes
      switch unsafe ResponseHead.parse(
        known.span.bytes.extracting(start..<known.count), &lines)
      {
      case .incomplete: return .incomplete
      case .malformed(let fault):
        guard fault != HandshakeRefusal(.headTooLong).text else {
          return .malformed("the head of its answer does not end within 64 KiB, interim answers included")
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
          return .malformed("it sent more than \(Self.mostInterimAnswers) interim answers")
        }
        lines = HeadLines(maximumLength: Self.longest - start)
      }
    }
  }
}
