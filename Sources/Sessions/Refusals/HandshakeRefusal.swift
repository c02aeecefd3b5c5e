package import WebSocketCore

/// Why a connection does not become a session or an event stream, and its answer.
package struct HandshakeRefusal: Error, Sendable, Equatable {
  package let reason: Refusal
  /// The header fields that let a page of another origin read the answer (the Fetch standard, section 3.2); empty if the page
  /// may not.
  var crossOrigin: [HeaderField]
  /// A detail that is only for the log, and not for the client.
  let detail: String?
  /// The view that has refused, for the log; nil if none has.
  var asked: UpstreamUser?
  /// Whom an order keeps out, for the log; nil where it is not known.
  var user: String?
  /// The handshake that is accepted so that a close frame can tell why (`refusals: close`); nil for an answer with the status.
  var handshake: Handshake?

  package init(_ reason: Refusal, crossOrigin: [HeaderField] = [], detail: String? = nil) {
    self.reason = reason
    self.crossOrigin = crossOrigin
    self.detail = detail
  }

  package var status: Int { reason.answerStatus }

  /// One sentence for the answer and for the log.
  package var text: String { reason.text }

  /// The whole answer. The connection is closed after it.
  ///
  /// - Parameters:
  ///   - date: for the field `Date` (RFC 9110 section 6.6.1).
  ///   - isToHEAD: whether to leave out the body, as an answer to HEAD must (RFC 9110 section 9.3.2).
  package func response(date: String? = nil, isToHEAD: Bool = false) -> [UInt8] {
    let hasText = reason.body.isEmpty
    let type = hasText ? [HeaderField(name: "Content-Type", value: "text/plain; charset=utf-8")] : []
    let upgrade = reason.fields.contains { $0.name == "Upgrade" }
    let options = upgrade ? [HeaderField(name: "Connection", value: "Upgrade")] : []
    let answer = HTTPAnswer(
      status: status, fields: reason.fields + crossOrigin + options + type,
      body: hasText ? Array((text + "\n").utf8) : reason.body)
    return answer.bytes(.close, isToHEAD: isToHEAD, date: date)
  }
}
