package import Logging
package import Transport
package import WebSocketCore

/// Why a client gets an answer in place of what it has asked for: one row of the table of refusals.
///
/// Everything about a refusal is said in `Refusal+Table.swift`: the answer, the line in the log, what a client should do, `sluice
/// codes`, and the manual.
package struct Refusal: Error, Sendable, Equatable {
  /// The HTTP status; nil in the row of refusals whose status an upstream has decided.
  package var status: Int?
  /// One sentence for the answer and for the log. In the table, `WHY` stands for what is decided when a client is refused.
  package var text: String
  /// Header fields besides those of every answer.
  package var fields: [HeaderField]
  /// The body in place of the text, whose type is among the fields; empty for the text itself.
  var body: [UInt8] = []
  var reconnecting: Reconnecting
  /// The level of the line in the log about it; nil without one.
  var level: Logger.Level?
  /// Whether its line in the log is not the usual one, `refused`.
  var hasOwnLine: Bool
  /// When a client is refused for it, as one sentence of the manual in Markdown.
  var meaning: String

  init(
    _ status: Int?, _ text: String, _ reconnecting: Reconnecting, fields: [HeaderField] = [],
    level: Logger.Level? = .info, hasOwnLine: Bool = false, when meaning: String
  ) {
    self.status = status
    self.text = text
    self.reconnecting = reconnecting
    self.fields = fields
    self.level = level
    self.hasOwnLine = hasOwnLine
    self.meaning = meaning
  }

  /// Whether an operator has said so, and the text is for the client in a close frame, too.
  var isOrder: Bool {
    [Refusal.keptOut, .endedByOperator].contains { $0.meaning == meaning }
  }

  /// The status of the answer: 502 only for the row of upstreams that refuse, if it was not given their status.
  package var answerStatus: Int { status ?? 502 }

  /// How a session is closed at its beginning in place of the answer. It says nothing that somebody else has put into the answer.
  var closeReason: CloseReason {
    let row: CloseReason =
      switch answerStatus {
      case 401: .handshakeUnauthorized
      case 403: .handshakeForbidden
      case 404: .handshakeLost
      case 429: .handshakeTooMany
      case 400...499: .handshakeBad
      default: .handshakeUnavailable
      }
    return row.saying(text)
  }

  /// The same row with what is decided when a client is refused.
  package func saying(_ text: String) -> Refusal {
    var refusal = self
    refusal.text = text
    return refusal
  }

  /// The same row with an answer that somebody else has made, or the rules of another protocol.
  ///
  /// - Parameter fields: with the type of the body.
  package func answering(_ status: Int, _ fields: [HeaderField], body: [UInt8]) -> Refusal {
    var refusal = self
    refusal.status = status
    refusal.fields = fields
    refusal.body = body
    return refusal
  }
}

extension Refusal {
  /// The codes of `closeReason`, in ascending order.
  package static var closeCodes: [String] {
    Set(ofHandshakes.map(\.closeReason.code.rawValue)).sorted().map(String.init)
  }
}

extension Logger {
  /// Writes the line about a refusal that its row says, if that is the usual one.
  ///
  /// - Parameters:
  ///   - target: of the request; nil where it could not be read.
  ///   - facts: further fields, asked for only where the line is written.
  package func tell(
    of refusal: Refusal, target: [UInt8]?, peer: PeerAddress, paced pace: SharedLogPace,
    _ facts: @autoclosure () -> [String: String]
  ) {
    guard let level = refusal.level, !refusal.hasOwnLine else { return }
    log(
      "refused", at: level, paced: pace,
      [
        "status": "\(refusal.answerStatus)", "reason": "\(refusal.text)", "peer": "\(peer)",
        "path": target.map { "\(RefusalLog.printable($0))" },
      ].merging(facts().mapValues { .string($0) }) { $1 })
  }
}
