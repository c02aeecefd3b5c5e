import Bytes
import NIOHTTP1
import WebSocketCore

/// What a server may send on one connection of an HTTP client, and in which order. A pure value: it is told of every request, every
/// read and every part of an answer, and throws at the first one that must not go on to the client.
///
/// The client itself ends the process on some of them (an answer with a status below 100, for one, which it takes for an interim
/// answer), and has no bound for others.
struct AnswerRules {
  private enum Phase {
    /// Nothing was asked.
    case idle
    /// A request is under way, and the head of its answer has not come.
    case asked
    case body
    /// The answer is complete, and the end of the request has not been sent.
    case answered
  }

  /// Whether an answer's head goes on to the client.
  enum Verdict {
    case final
    /// It only announces another one (RFC 9110 section 15.2), and is dropped: it must not prolong the wait for that.
    case interim
  }

  /// As a WebSocket upstream's.
  static let mostInterimAnswers = ResponseReader.mostInterimAnswers
  /// Bytes between two parts that go on to the client: heads, a chunk's extension, trailers.
  static let longestOverhead = ResponseReader.longest

  private var phase = Phase.idle
  private var isRequestSent = false
  private var interimAnswers = 0
  private var overhead = 0
  private var requests = 0
  private var hasHeard = false

  /// Whether the next bytes are of a head.
  var waitsForHead: Bool { phase == .asked }

  /// What it means where the connection ends now; nil where no answer is waited for.
  ///
  /// Where the connection had been kept since an earlier request, the server most likely closed it for being idle, and has not seen
  /// this one.
  var faultAtEnd: UpstreamFault? {
    guard phase == .asked else { return nil }
    return requests > 1 && !hasHeard ? .closedIdle : .closedUnanswered
  }

  mutating func requestBegins() throws(UpstreamFault) {
    guard phase == .idle else { throw .disorder }
    phase = .asked
    isRequestSent = false
    requests += 1
    hasHeard = false
    interimAnswers = 0
    overhead = 0
  }

  mutating func requestEnds() {
    isRequestSent = true
    if phase == .answered { phase = .idle }
  }

  /// Bytes have come from the server, and are about to be decoded.
  mutating func reads(_ count: Int) throws(UpstreamFault) {
    guard phase == .asked || phase == .body else { throw .unasked }
    overhead += count
    hasHeard = true
  }

  /// The bytes are decoded, and what was in them has been told.
  func hasDecoded() throws(UpstreamFault) {
    guard overhead <= Self.longestOverhead else { throw .tooLong }
  }

  mutating func receives(_ head: HTTPResponseHead) throws(UpstreamFault) -> Verdict {
    guard phase == .asked else { throw .disorder }
    switch Int(head.status.code) {
    case 101: throw .switchedProtocols
    case 100...199:
      interimAnswers += 1
      guard interimAnswers <= Self.mostInterimAnswers else { throw .interimAnswers }
      return .interim
    case 200...999:
      try Self.check(head.headers)
      phase = .body
      overhead = 0
      return .final
    case let status: throw .status(status)
    }
  }

  mutating func receivesBody() throws(UpstreamFault) {
    guard phase == .body else { throw .disorder }
    overhead = 0
  }

  mutating func receivesEnd(_ trailers: HTTPHeaders?) throws(UpstreamFault) {
    guard phase == .body else { throw .disorder }
    phase = isRequestSent ? .idle : .answered
    overhead = 0
    if let trailers { try Self.check(trailers) }
  }

  /// What the decoder leaves to us: nothing in a field that would end its line, and no coding that is lost on the way.
  private static func check(_ fields: HTTPHeaders) throws(UpstreamFault) {
    for (name, value) in fields {
      guard name.utf8.allSatisfy(isInField), value.utf8.allSatisfy(isInField), !value.hasTooManyMarks else {
        throw .field(String(name.unicodeScalars.map { $0.value < 0x20 ? "?" : Character($0) }))
      }
    }
    let codings = fields["transfer-encoding"]
    guard codings.isEmpty || codings.map({ $0.lowercased() }) == ["chunked"] else {
      throw .coding(codings.joined(separator: ", "))
    }
  }

  private static func isInField(_ byte: UInt8) -> Bool {
    byte >= 0x20 && byte != 0x7F || byte == UInt8(ascii: "\t")
  }
}
