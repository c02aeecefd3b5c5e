import Bytes

/// Why a connection does not become a session: its HTTP answer, and whether the client should try again.
public struct HandshakeRefusal: Error, Sendable, Equatable {
  public enum Reason: Sendable, Equatable {
    // The request itself.
    case badRequest(String)
    case badPath
    /// A server behind this one could read the path as another path than the routes did.
    case ambiguousPath
    /// A server behind this one that merges slashes, takes `\` for `/`, or drops the text after a `;` would serve a path that
    /// another route protects.
    case mergedSlashes
    case httpVersion
    /// The connection begins with a TLS handshake.
    case speaksTLS
    /// Another major version of HTTP (RFC 9110 section 2.5).
    case unsupportedHTTP
    /// RFC 9110 section 9.1.
    case unknownMethod
    /// RFC 9110 section 9.3.6: CONNECT is for forward proxies only.
    case connect
    case headTooLong
    case timeout
    // The opening handshake, RFC 6455 section 4.2.1.
    case notAWebSocket
    case methodNotGET
    case badConnectionHeader
    case badKey
    case unsupportedVersion
    case badSubprotocol
    case badExtensions
    // Decisions of the gateway.
    case noRoute
    /// `since` in the query is not the `id` of a frame.
    case badSince
    case severalOrigins
    case originNotAllowed
    /// The request has no Origin, and the route requires one.
    case originMissing
    case tooManyConnections
    /// The client's address reached its limit of connections or its rate of handshakes; when to try again, in seconds.
    case addressOverLimit(retryAfter: Int)
    case layerUnavailable
    /// The upstream of a `proxy` route does not accept the connection.
    case upstreamUnreachable
    /// The upstream accepted the connection, but did not answer as it should.
    case upstreamFailed
    case upstreamTimeout
    /// The upstream answered with a status of its own, which is passed on.
    case refusedByUpstream(Int, [HeaderField], body: [UInt8])
    /// The client is not authenticated, or not allowed: the status, further header fields, the body, and the reason.
    case notAuthenticated(Int, [HeaderField], body: [UInt8], reason: String)
    /// Authentication is temporarily unavailable.
    case identityUnavailable
    case stopping
  }

  public let reason: Reason
  /// The header fields that let a page of another origin read the answer (the Fetch standard, section 3.2); empty if the page
  /// may not.
  public var crossOrigin: [HeaderField]
  /// A detail that is only for the log, and not for the client.
  public let detail: String?

  public init(_ reason: Reason, crossOrigin: [HeaderField] = [], detail: String? = nil) {
    self.reason = reason
    self.crossOrigin = crossOrigin
    self.detail = detail
  }

  public var status: Int {
    switch reason {
    case .badRequest, .badPath, .ambiguousPath, .mergedSlashes, .speaksTLS, .unsupportedHTTP, .httpVersion,
      .methodNotGET, .badConnectionHeader, .badKey,
      .badSubprotocol, .badExtensions, .badSince, .severalOrigins:
      400
    case .originNotAllowed, .originMissing: 403
    case .noRoute: 404
    case .timeout: 408
    case .notAWebSocket, .unsupportedVersion: 426
    case .addressOverLimit: 429
    case .headTooLong: 431
    case .unknownMethod, .connect: 501
    case .tooManyConnections, .layerUnavailable, .identityUnavailable, .stopping: 503
    case .upstreamUnreachable, .upstreamFailed: 502
    case .upstreamTimeout: 504
    case .refusedByUpstream(let status, _, _), .notAuthenticated(let status, _, _, _): status
    }
  }

  /// The answer to a path that is not passed on to an upstream.
  public static let ambiguousPath =
    ##"The path has a segment "." or "..", or a "#": a server could read it as another path."##

  /// The answer to a path that an upstream could read as a protected one.
  public static let mergedSlashes =
    #"The path has several slashes in a row, a "\" or a ";": a server could read it as a path that needs authentication."#

  /// One sentence for the answer and for the log.
  public var text: String {
    switch reason {
    case .badRequest(let fault): "The request is malformed: \(fault)."
    case .badPath: "The path is not percent-encoded UTF-8."
    case .ambiguousPath: Self.ambiguousPath
    case .mergedSlashes: Self.mergedSlashes
    case .httpVersion: "A WebSocket handshake needs HTTP/1.1."
    case .speaksTLS: "The client speaks TLS, and this port expects plain HTTP."
    case .unsupportedHTTP: "Only HTTP/1.0 and HTTP/1.1 are supported."
    case .unknownMethod: "The method of the request is not supported."
    case .connect: "CONNECT is for forward proxies, and this server is not one."
    case .headTooLong: "The request head is too long."
    case .timeout: "The request head did not arrive in time."
    case .notAWebSocket: "This path speaks WebSocket: the request needs \"Upgrade: websocket\"."
    case .methodNotGET: "A WebSocket handshake must be a GET request."
    case .badConnectionHeader: "The request needs \"Connection: Upgrade\"."
    case .badKey: "The request needs one Sec-WebSocket-Key of 16 bytes in base64."
    case .unsupportedVersion: "Only version 13 of the WebSocket protocol is supported."
    case .badSubprotocol: "Sec-WebSocket-Protocol must be a list of different tokens."
    case .badExtensions: "Sec-WebSocket-Extensions is not a valid list of extensions."
    case .noRoute: "There is nothing at this path."
    case .badSince: "\"since\" must be the id of a frame (EPOCH.OFFSET), or empty."
    case .severalOrigins: "The request has more than one Origin header."
    case .originNotAllowed: "Pages of this origin are not allowed here."
    case .originMissing: "The request has no Origin header, and this path requires one."
    case .addressOverLimit: "There are too many connections from this address; try again later."
    case .tooManyConnections: "All connections are in use; try again later."
    case .layerUnavailable: "The channel layer is not available; try again later."
    case .upstreamUnreachable: "The upstream server cannot be reached."
    case .upstreamFailed: "The upstream server did not answer as a WebSocket server."
    case .upstreamTimeout: "The upstream server did not answer in time."
    case .refusedByUpstream: "The upstream server refused the handshake."
    case .notAuthenticated(_, _, _, let reason): reason
    case .identityUnavailable: "Authentication is temporarily unavailable; try again later."
    case .stopping: "The gateway is being restarted; try again at once."
    }
  }

  /// Header fields besides those of every refusal.
  private var fields: [(name: String, value: String)] {
    switch reason {
    case .notAWebSocket: [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    case .unsupportedVersion: [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    case .tooManyConnections, .layerUnavailable, .identityUnavailable: [("Retry-After", "5")]
    case .addressOverLimit(let seconds): [("Retry-After", "\(seconds)")]
    case .stopping: [("Retry-After", "1")]
    case .refusedByUpstream(_, let fields, _), .notAuthenticated(_, let fields, _, _):
      fields.map { ($0.name, $0.value) }
    case .badRequest, .badPath, .ambiguousPath, .mergedSlashes, .httpVersion, .speaksTLS, .unsupportedHTTP,
      .unknownMethod, .connect, .headTooLong, .timeout,
      .methodNotGET,
      .badConnectionHeader,
      .badKey, .badSubprotocol, .badExtensions, .noRoute, .badSince, .severalOrigins, .originNotAllowed,
      .originMissing, .upstreamUnreachable,
      .upstreamFailed, .upstreamTimeout:
      []
    }
  }

  /// The whole answer. The connection is closed after it.
  ///
  /// - Parameters:
  ///   - date: for the field `Date` (RFC 9110 section 6.6.1).
  ///   - isToHEAD: whether to leave out the body, as an answer to HEAD must (RFC 9110 section 9.3.2).
  public func response(date: String? = nil, isToHEAD: Bool = false) -> [UInt8] {
    var body = Array((text + "\n").utf8)
    var type = "Content-Type: text/plain; charset=utf-8\r\n"
    switch reason {
    case .refusedByUpstream(_, _, body: let own) where !own.isEmpty,
      .notAuthenticated(_, _, body: let own, _) where !own.isEmpty:
      body = own
      type = ""
    default: break
    }
    var head = "HTTP/1.1 \(status) \(Self.phrase(status))\r\n"
    let hasUpgrade = fields.contains { $0.name == "Upgrade" }
    for (name, value) in fields + crossOrigin.map({ ($0.name, $0.value) }) {
      head += "\(name): \(value)\r\n"
    }
    head += "Connection: \(hasUpgrade ? "close, Upgrade" : "close")\r\n"
    if let date, !fields.contains(where: { $0.name.lowercased() == "date" }) { head += "Date: \(date)\r\n" }
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
