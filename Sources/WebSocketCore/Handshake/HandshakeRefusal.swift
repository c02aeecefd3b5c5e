/// Why a connection does not become a session: the HTTP answer it gets, and whether to try again.
package struct HandshakeRefusal: Error, Sendable, Equatable {
  package enum Reason: Sendable, Equatable {
    // The request itself.
    case badRequest(String)
    case badPath
    case httpVersion
    case headTooLong
    case timeout
    // The opening hand-shake, RFC 6455 section 4.2.1.
    case notAWebSocket
    case methodNotGET
    case badConnectionHeader
    case badKey
    case unsupportedVersion
    case badSubprotocol
    // What the gateway decides.
    case noRoute
    case severalOrigins
    case originNotAllowed
    case tooManyConnections
    case layerUnavailable
    case stopping
  }

  package let reason: Reason

  package init(_ reason: Reason) {
    self.reason = reason
  }

  package var status: Int {
    switch reason {
    case .badRequest, .badPath, .httpVersion, .methodNotGET, .badConnectionHeader, .badKey, .badSubprotocol,
      .severalOrigins:
      400
    case .originNotAllowed: 403
    case .noRoute: 404
    case .timeout: 408
    case .notAWebSocket, .unsupportedVersion: 426
    case .headTooLong: 431
    case .tooManyConnections, .layerUnavailable, .stopping: 503
    }
  }

  /// One sentence for whoever reads the answer or the log.
  package var text: String {
    switch reason {
    case .badRequest(let fault): "The request is malformed: \(fault)."
    case .badPath: "The path is not percent-encoded UTF-8."
    case .httpVersion: "WebSocket needs HTTP/1.1."
    case .headTooLong: "The request head is too long."
    case .timeout: "The request head did not arrive in time."
    case .notAWebSocket: "This path speaks WebSocket: the request needs \"Upgrade: websocket\"."
    case .methodNotGET: "A WebSocket hand-shake is a GET request."
    case .badConnectionHeader: "The request needs \"Connection: Upgrade\"."
    case .badKey: "The request needs one Sec-WebSocket-Key of 16 bytes in base64."
    case .unsupportedVersion: "Only version 13 of the WebSocket protocol is spoken here."
    case .badSubprotocol: "Sec-WebSocket-Protocol is not a list of different words."
    case .noRoute: "There is nothing at this path."
    case .severalOrigins: "There is more than one Origin header."
    case .originNotAllowed: "This origin, or a client without one, may not connect."
    case .tooManyConnections: "All connections are in use; try again later."
    case .layerUnavailable: "The channel layer is not available; try again later."
    case .stopping: "The gateway is being restarted; try again at once."
    }
  }

  /// Header fields beyond those that every refusal has.
  private var fields: [(name: String, value: String)] {
    switch reason {
    case .notAWebSocket: [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    case .unsupportedVersion: [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    case .tooManyConnections, .layerUnavailable: [("Retry-After", "5")]
    case .stopping: [("Retry-After", "1")]
    case .badRequest, .badPath, .httpVersion, .headTooLong, .timeout, .methodNotGET, .badConnectionHeader,
      .badKey, .badSubprotocol, .noRoute, .severalOrigins, .originNotAllowed:
      []
    }
  }

  /// The whole answer; the connection is closed behind it.
  package func response() -> [UInt8] {
    let body = text + "\n"
    var head = "HTTP/1.1 \(status) \(Self.phrase(status))\r\n"
    let hasUpgrade = fields.contains { $0.name == "Upgrade" }
    for (name, value) in fields { head += "\(name): \(value)\r\n" }
    head += "Connection: \(hasUpgrade ? "close, Upgrade" : "close")\r\n"
    head += "Content-Type: text/plain; charset=utf-8\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
    return Array((head + body).utf8)
  }

  private static func phrase(_ status: Int) -> String {
    switch status {
    case 400: "Bad Request"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 408: "Request Timeout"
    case 426: "Upgrade Required"
    case 431: "Request Header Fields Too Large"
    default: "Service Unavailable"
    }
  }
}
