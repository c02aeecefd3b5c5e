import Bytes
import NIOCore
import NIOHTTP1
import WebSocketCore

/// What a server may send on one connection of an HTTP client, and in which order. A pure value: it is called for every
/// request, every read and every part of an answer, and throws at the first one that must not reach the client.
///
/// The client itself ends the process on some violations (for example an answer with a status below 100, which it takes for an
/// interim answer), and has no bounds for others.
struct AnswerRules {
  private enum Phase {
    /// There was no request.
    case idle
    /// A request is under way, and the head of its answer has not arrived.
    case asked
    case body
    /// The answer is complete, and the end of the request has not been sent.
    case answered
  }

  /// Whether an answer's head is passed on to the client.
  enum Verdict {
    case final
    /// An interim answer (RFC 9110 section 15.2). It is dropped, because it must not prolong the wait for the final one.
    case interim
  }

  /// The same as for a WebSocket upstream.
  static let mostInterimAnswers = ResponseReader.mostInterimAnswers
  /// The most bytes between two parts for the client: heads, a chunk's extension, trailers.
  static let longestOverhead = ResponseReader.longest

  private var phase = Phase.idle
  private var isRequestSent = false
  private var interimAnswers = 0
  private var overhead = 0
  private var requests = 0
  private var hasHeard = false

  /// Whether the next bytes belong to a head.
  var waitsForHead: Bool { phase == .asked }

  /// The longest time between a request and the end of its connection after which the server can have closed the connection
  /// because it was idle. Such a server has closed it before the request arrived, so its reset comes after one round trip: one
  /// second is several of them, and leaves room for a lost packet that is sent again. A server that ends later has had the
  /// request, and may have acted on it.
  static let idleBound = TimeAmount.seconds(1)

  /// The fault if the connection ends now; nil if no answer is expected.
  ///
  /// If the connection was kept after an earlier request, and ends right after this one was sent, the server most likely closed
  /// it because it was idle, and has not seen this one.
  ///
  /// - Parameter wait: the time since the head of the request was written.
  func faultAtEnd(after wait: TimeAmount) -> UpstreamFault? {
    guard phase == .asked else { return nil }
    return requests > 1 && !hasHeard && wait <= Self.idleBound ? .closedIdle : .closedUnanswered
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

  /// Bytes have arrived from the server, and are about to be decoded.
  mutating func reads(_ count: Int) throws(UpstreamFault) {
    guard phase == .asked || phase == .body else { throw .unasked }
    overhead += count
    hasHeard = true
  }

  /// The bytes are decoded, and their parts have been reported.
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

  /// Checks what the decoder does not: characters in a field that would end its line, and transfer codings that would be lost.
  private static func check(_ fields: HTTPHeaders) throws(UpstreamFault) {
    for (name, value) in fields {
      guard name.utf8.allSatisfy(\.isInFieldValue), value.utf8.allSatisfy(\.isInFieldValue),
        !value.hasTooManyMarks
      else {
        throw .field(String(name.unicodeScalars.map { $0.value < 0x20 ? "?" : Character($0) }))
      }
    }
    let codings = fields["transfer-encoding"]
    guard codings.isEmpty || codings.map({ $0.lowercased() }) == ["chunked"] else {
      throw .coding(codings.joined(separator: ", "))
    }
  }
}
