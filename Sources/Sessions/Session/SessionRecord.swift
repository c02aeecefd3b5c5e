import Bytes
import Logging
import Transport
import WebSocketCore

/// What `logging.sessions` tells of one session: a line when it has begun, and one when it has ended. Sessions have one only where the
/// file asks for it, and what they do costs an addition then.
///
/// Confined to the session's reactor.
final class SessionRecord {
  private let log: Logger
  private let facts: Logger.Metadata
  private let startedAt: MonotonicTime

  /// The same in another process.
  struct State: Recorded {
    var facts: [String: String] = [:]
    var startedAt: UInt64 = 0
    var received = (messages: 0, bytes: 0)
    var sent = (messages: 0, bytes: 0)
    var ending: (side: String, code: UInt16, reason: String)?
  }

  var handed: State {
    State(
      facts: facts.mapValues { "\($0)" }, startedAt: startedAt.nanoseconds, received: received, sent: sent,
      ending: ending.map { ($0.side, $0.code.rawValue, $0.reason) })
  }

  /// Goes on with a session whose first line another process has written.
  init(_ state: State, log: Logger) {
    self.log = log
    facts = state.facts.mapValues { "\($0)" }
    startedAt = MonotonicTime(nanoseconds: state.startedAt)
    (received, sent) = (state.received, state.sent)
    ending = state.ending.map { ($0.side, CloseCode(rawValue: $0.code), $0.reason) }
  }

  /// Of the client: messages, and the bytes in them.
  private var received = (messages: 0, bytes: 0)
  /// To the client: messages, and the bytes of their frames.
  private var sent = (messages: 0, bytes: 0)
  /// Who has said first that it ends: `client` or `gateway`; the code and the reason.
  private var ending: (side: String, code: CloseCode, reason: String)?

  /// Writes the first line.
  ///
  /// - Parameter target: of the request; its query is left out, as it may hold a token.
  init(_ client: Client, route: String, target: [UInt8]?, user: String?, at now: MonotonicTime, log: Logger) {
    self.log = log
    startedAt = now
    var facts: Logger.Metadata = ["peer": "\(client.peer)", "route": "\(route)"]
    if let target { facts["path"] = "\(RefusalLog.printable(target))" }
    self.facts = facts
    if let user { facts["user"] = "\(user)" }
    log.info("a session began", metadata: facts)
  }

  func received(_ bytes: Int) {
    received.messages += 1
    received.bytes += bytes
  }

  /// A message was sent in one frame.
  func sent(_ bytes: Int) {
    sent.messages += 1
    sent.bytes += bytes
  }

  /// Whole messages were sent, each in one frame of ours.
  func sent(_ frames: SharedBytes, from offset: Int) {
    frames.read { bytes in
      var next = offset
      while let frame = ServerFrame(bytes, at: next) {
        sent.messages += 1
        next = frame.payload.upperBound
      }
      sent.bytes += bytes.byteCount - offset
    }
  }

  /// Bytes of a stream were sent, whose messages are not counted.
  func streamed(_ bytes: Int) {
    sent.bytes += bytes
  }

  /// The gateway ends the session.
  ///
  /// - Parameter payload: of its close frame.
  func ends(_ payload: [UInt8]) {
    let (code, reason) = CloseCode.read(payload)
    ends(code, reason)
  }

  /// The client has sent a close frame.
  func clientEnds(_ code: CloseCode?, _ reason: RawSpan) {
    ends(code ?? .noStatus, reason.string, by: "client")
  }

  func ends(_ code: CloseCode, _ reason: String, by side: String = "gateway") {
    if ending == nil { ending = (side, code, reason) }
  }

  /// Writes the last line.
  func ended(user: String?, at now: MonotonicTime) {
    // RFC 6455 section 7.1.5: without a close frame it is 1006.
    let ending = ending ?? ("client", .abnormal, "the connection ended without a close frame")
    let milliseconds = now.since(startedAt).wholeNanoseconds / 1_000_000
    let fraction = String(milliseconds % 1000 + 1000).dropFirst()
    var facts = facts
    if let user { facts["user"] = "\(user)" }
    facts["code"] = "\(ending.code.rawValue)"
    if !ending.reason.isEmpty { facts["reason"] = "\(ending.reason)" }
    facts["ended-by"] = "\(ending.side)"
    facts["seconds"] = "\(milliseconds / 1000).\(fraction)"
    facts["messages-in"] = "\(received.messages)"
    facts["bytes-in"] = "\(received.bytes)"
    facts["messages-out"] = "\(sent.messages)"
    facts["bytes-out"] = "\(sent.bytes)"
    log.info("a session ended", metadata: facts)
  }
}

extension CloseCode {
  /// The code and the reason of a close frame of the gateway.
  static func read(_ payload: [UInt8]) -> (code: CloseCode, reason: String) {
    guard payload.count >= 2 else { return (.noStatus, "") }
    let code = CloseCode(rawValue: UInt16(payload[0]) << 8 | UInt16(payload[1]))
    return (code, String(decoding: payload[2...], as: UTF8.self))
  }

  /// RFC 6455 section 7.4.1: a close frame without a code.
  static let noStatus = CloseCode(rawValue: 1005)
  /// No close frame.
  static let abnormal = CloseCode(rawValue: 1006)
}
