import Bytes
package import WebSocketCore

/// Why a connection does not become a session or an event stream, and its answer.
package struct HandshakeRefusal: Error, Sendable, Equatable {
  package let reason: Refusal
  /// The header fields that let a page of another origin read the answer (the Fetch standard, section 3.2); empty if the page
  /// may not.
  var crossOrigin: [HeaderField]
  /// A detail that is only for the log, and not for the client.
  let detail: String?

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
    let body = hasText ? Array((text + "\n").utf8) : reason.body
    let type = hasText ? "Content-Type: text/plain; charset=utf-8\r\n" : ""
    var head = "HTTP/1.1 \(status) \(Self.phrase(status))\r\n"
    let hasUpgrade = reason.fields.contains { $0.name == "Upgrade" }
    for field in reason.fields + crossOrigin { head += "\(field.name): \(field.value)\r\n" }
    head += "Connection: \(hasUpgrade ? "close, Upgrade" : "close")\r\n"
    let hasDate = reason.fields.contains { $0.name.lowercased() == "date" }
    if let date, !hasDate { head += "Date: \(date)\r\n" }
    head += "\(type)Content-Length: \(body.count)\r\n\r\n"
    return OpaqueText.bytes(of: head) + (isToHEAD ? [] : body)
  }

  private static func phrase(_ status: Int) -> String {
    switch status {
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 408: "Request Timeout"
    case 426: "Upgrade Required"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 501: "Not Implemented"
    case 502: "Bad Gateway"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    default: ""
    }
  }
}
