import Bytes
import GatewayConfig
import NetworkFaults
import Transport

/// One connection to the server of a view, with one request at a time. Confined to its reactor.
final class HTTPLink {
  typealias Completed = (Result<UpstreamFetcher.Answer, HTTPFault>) -> Void

  private enum State {
    case connecting
    case asking
    /// It waits for the next request.
    case kept
    /// It has brought an answer, and the server ends it.
    case leaving
    case over
  }

  // Strong: a link lives until its answer, also when nobody else needs its links any more.
  private let links: HTTPLinks
  let trustedAt: Int
  private var connection: Connection?
  private var state = State.connecting
  private var request: [UInt8] = []
  private var completed: Completed?
  private var reader = HTTPAnswerReader(longest: AnswerFault.longestAnswer)
  /// When the whole answer is due.
  private var due = MonotonicTime(nanoseconds: 0)
  private var requests = 0
  private var hasServerEnded = false
  private var hasGivenWay = false
  /// The limit of what is waited for.
  private var limit: Timer?
  /// Whether something of the request was sent.
  private(set) var hasSent = false

  /// Takes the request, for which it has to be connected.
  ///
  /// - Parameter trustedAt: `SharedLinks.renewals` before its server is looked at.
  init(
    _ links: HTTPLinks, _ request: [UInt8], until due: MonotonicTime, trustedAt: Int,
    _ completed: @escaping Completed
  ) {
    self.links = links
    self.trustedAt = trustedAt
    self.request = request
    self.due = due
    self.completed = completed
    requests = 1
    // Unowned: the end cancels it.
    limit = links.reactor.timer { [unowned self] in timedOut() }
    limit?.schedule(at: min(due, links.reactor.now + links.upstream.connectTimeout))
  }

  var isConnecting: Bool { state == .connecting }

  /// Whether the server has not ended it, and has sent nothing that nobody asked for.
  var isUsable: Bool { connection?.isQuiet == true }

  /// The connection is made, or is being made.
  func connect(by connection: Connection) {
    guard state == .connecting else { return connection.abort() }
    self.connection = connection
    if connection.isEstablished { established() }
  }

  /// Sends the next request.
  func ask(_ request: [UInt8], until due: MonotonicTime, _ completed: @escaping Completed) {
    self.request = request
    self.due = due
    self.completed = completed
    requests += 1
    reader = HTTPAnswerReader(longest: AnswerFault.longestAnswer)
    send()
  }

  private func send() {
    state = .asking
    hasSent = true
    limit?.schedule(at: due)
    let text = request
    request = []
    if let connection { connection.write(text.rawBytes) }
  }

  /// The answer is not needed, and the server may never have got the request.
  func abandon() {
    completed = nil
    end()
  }

  // MARK: - The end of a request

  private func answered(_ answer: UpstreamFetcher.Answer, _ next: HTTPAnswerReader.Next) {
    let completed = completed
    self.completed = nil
    hasSent = false
    // A server that answers before it has read everything may not read the rest.
    switch next {
    case .anotherRequest where connection?.hasUnsent == false && links.mayKeep(self):
      state = .kept
      limit?.schedule(after: links.upstream.idleTimeout)
    case .endOfServer where connection?.hasUnsent == false && links.waitsForEnds:
      state = .leaving
      limit?.schedule(after: Self.timeToLeave)
    case .anotherRequest, .endOfServer, .nothing: end()
    }
    completed?(.success(answer))
  }

  /// How long a server may take to end a connection.
  private static let timeToLeave = Duration.seconds(1)

  /// There is no answer.
  ///
  /// - Parameter isOwn: whether the gateway itself has ended the request.
  func fail(_ reason: String, hint: String? = nil, isOwn: Bool = false) {
    guard state != .over else { return }
    if state == .connecting { links.forgetAddress() }
    let fault = HTTPFault(
      reason: reason, hint: hint, isSent: state == .asking,
      isOfKept: state == .asking && requests > 1 && hasServerEnded && !reader.hasBegun, isOwn: isOwn)
    let completed = completed
    self.completed = nil
    end()
    completed?(.failure(fault))
  }

  func end() {
    guard state != .over else { return }
    links.ended(self, isKept: state == .kept)
    state = .over
    limit?.cancel()
    connection?.abort()
  }

  private func timedOut() {
    switch state {
    case .connecting: fail(AnswerFault.notAccepted, hint: links.upstream.hint(for: .silent))
    case .asking:
      fail(
        reader.hasBegun ? "the whole answer did not arrive in time" : "the server did not answer in time",
        hint: Self.slowHint)
    case .kept, .leaving: end()
    case .over: break
    }
  }

  private static let slowHint =
    "a worker of gunicorn handles one request at a time: start as many as in_flight says, or write a lower in_flight, or a longer timeout"
}

extension HTTPLink: ConnectionHandler {
  func established() {
    if state == .connecting { send() }
  }

  func received(_ bytes: inout MutableRawSpan) {
    switch state {
    case .asking: take(reader.read(bytes.bytes))
    // Nobody has asked for it.
    case .kept, .leaving: end()
    case .connecting, .over: break
    }
  }

  private func take(_ step: HTTPAnswerReader.Step) {
    switch step {
    case .incomplete: break
    case .complete(let answer, let next): answered(answer, next)
    case .malformed(let reason): fail(reason, hint: hasServerEnded ? Self.endHint : nil)
    }
  }

  private static let endHint =
    "the log of the server may say why: gunicorn ends a worker that needs longer than its --timeout for one answer"

  func peerFinished() {
    hasServerEnded = true
    switch state {
    case .asking: take(reader.end())
    case .connecting: fail("the server closed the connection")
    case .kept, .leaving: end()
    case .over: break
    }
  }

  func drained() {}

  func mustGiveWay() { hasGivenWay = true }

  func closed(_ reason: ConnectionEnd) {
    if reason != .local { hasServerEnded = true }
    switch state {
    case .asking where reason == .finished: take(reader.end())
    case .connecting, .asking:
      let fault = fault(for: reason)
      fail(fault.reason, hint: fault.hint, isOwn: reason == .local && state == .asking && !hasGivenWay)
    case .kept, .leaving: end()
    case .over: break
    }
  }

  private func fault(for reason: ConnectionEnd) -> AnswerFault {
    if let fault = connection?.tlsFault { return AnswerFault(fault, from: links.upstream) }
    switch reason {
    case .failed(let code) where state == .connecting:
      return AnswerFault(TransportFailure.cannotConnect(code), from: links.upstream)
    case .failed(let code): return AnswerFault(reason: TransportFailure.text(code), hint: Self.endHint)
    case .finished: return AnswerFault(reason: "the server closed the connection")
    case .local where hasGivenWay: return AnswerFault(reason: "the memory for unsent bytes is used up")
    case .local: return AnswerFault(reason: "the gateway has ended the connection")
    }
  }
}
