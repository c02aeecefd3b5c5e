import Bytes
import Transport
import WebSocketCore

/// A client that publishes with requests on one connection that is kept. It is open when its first request is accepted.
///
/// A server may end a connection after a number of requests, as nginx does (`keepalive_requests`), or after a time without one.
final class PublishClient: LoadClient {
  private var answers = AnswerReader()
  /// Requests that are not answered yet.
  private var requests = 0
  /// The status of the answer that is being read, and the beginning of its body if that says why something is refused.
  private var status = 0
  private var phrase = ""
  private var reason: [UInt8] = []

  /// Whether a request after the first one was answered. A server that never comes so far keeps no connection.
  private var hasServed = false
  /// No request is answered any more.
  private var isSpent = false

  private static let longestReason = 200

  override var awaited: Int { requests }
  override var mayBeEnded: Bool { hasServed && requests == 0 }

  /// Publishes a message that nobody counts: what it is answered shows whether any can be published.
  override func greet() {
    let stamp = Stamp(run: crew.plan.openingRun, sender: 0, sequence: 0, nanoseconds: crew.now)
    crew.message.write(stamp.words)
    requests = 1
    crew.message.withBytes { write($0) }
  }

  override func send(_ message: RawSpan) {
    guard isOpen, !isSpent else { return }
    count(1)
    super.send(message)
  }

  override func send(_ messages: SharedBytes, count: Int) {
    guard isOpen, !isSpent else { return }
    self.count(count)
    super.send(messages, count: count)
  }

  private func count(_ new: Int) {
    requests += new
    crew.awaits(new)
  }

  override func sayGoodbye() {
    abort()
  }

  override func read(_ bytes: inout MutableRawSpan) {
    answers.read(bytes.bytes, of: self)
  }

  private var isAccepted: Bool { (200...299).contains(status) }

  /// "503 Service Unavailable: text"
  private var refusal: String {
    let text = String(decoding: reason, as: UTF8.self).filter { !$0.isNewline }
    return "\(status) \(phrase)\(text.isEmpty ? "" : ": ")\(text)"
  }
}

extension PublishClient: AnswerSink {
  func head(_ head: AnswerHead) throws(AnswerFault) {
    guard requests > 0 else { throw AnswerFault("the server answered although nothing was asked") }
    status = head.status
    phrase = head.phrase
    reason = []
  }

  func body(_ bytes: RawSpan) {
    guard !isAccepted, reason.count < Self.longestReason else { return }
    reason.append(copying: bytes.extracting(0..<min(bytes.byteCount, Self.longestReason - reason.count)))
  }

  func ended(isLast: Bool) throws(AnswerFault) {
    requests -= 1
    if isOpening {
      guard isAccepted else { throw AnswerFault("the server answered \(refusal)") }
      guard !isLast else {
        throw AnswerFault("the server ends each connection with its first answer (Connection: close)")
      }
      open()
    } else {
      (hasServed, isSpent) = (true, isLast)
      crew.answered(isAccepted ? nil : status, refusal)
      part.answered(isAccepted: isAccepted, for: self, crew)
    }
    guard isLast else { return }
    renew()
    // Nothing more is read, and nothing more can fail.
    throw AnswerFault("the server ended a connection with its answer (Connection: close)")
  }
}
