import Bytes

/// Why a connection does not become a session: the HTTP answer it gets, and whether to try again.
public struct HandshakeRefusal: Error, Sendable, Equatable {
  public enum Reason: Sendable, Equatable {
    // The request itself.
    case badRequest(String)
    case badPath
    /// A server behind this one could read the path as another one than the routes did.
    case ambiguousPath
    /// A server behind this one that takes several slashes for one would serve what another route protects.
    case mergedSlashes
    case httpVersion
    /// Another major version of HTTP (RFC 9110 section 2.5).
    case unsupportedHTTP
    /// RFC 9110 section 9.1.
    case unknownMethod
    /// RFC 9110 section 9.3.6: only a forward proxy has a use for it.
    case connect
    case headTooLong
    case timeout
    // The opening hand-shake, RFC 6455 section 4.2.1.
    case notAWebSocket
    case methodNotGET
    case badConnectionHeader
    case badKey
    case unsupportedVersion
    case badSubprotocol
    case badExtensions
    // What the gateway decides.
    case noRoute
    /// `since` in the query is not what a frame's `id` was.
    case badSince
    case severalOrigins
    case originNotAllowed
    case tooManyConnections
    /// The client's address has as many connections as it may, or comes too often; when to try again, in seconds.
    case addressOverLimit(retryAfter: Int)
    case layerUnavailable
    /// The server behind a `proxy` route does not take the connection.
    case upstreamUnreachable
    /// It took it, and did not answer as it should.
    case upstreamFailed
    case upstreamTimeout
    /// It answered with a status of its own, which is passed on.
    case refusedByUpstream(Int, [HeaderField], body: [UInt8])
    /// The client is to show who it is, or is not let in: the status, what else the answer has, and why.
    case notAuthenticated(Int, [HeaderField], body: [UInt8], reason: String)
    /// Who the client is cannot be found out now.
    case identityUnavailable
    case stopping
  }

  public let reason: Reason
  /// What lets a page of another origin read the answer (the Fetch standard, section 3.2); empty where it may not.
  public var crossOrigin: [HeaderField]
  /// What the operator is told in the log beside the reason, and the client is not.
  public let detail: String?

  public init(_ reason: Reason, crossOrigin: [HeaderField] = [], detail: String? = nil) {
    self.reason = reason
    self.crossOrigin = crossOrigin
    self.detail = detail
  }

  public var status: Int {
    switch reason {
    case .badRequest, .badPath, .ambiguousPath, .mergedSlashes, .unsupportedHTTP, .httpVersion, .methodNotGET,
      .badConnectionHeader, .badKey,
      .badSubprotocol, .badExtensions, .badSince, .severalOrigins:
      400
    case .originNotAllowed: 403
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

  /// Of a path that is not passed on to a server behind this one.
  public static let ambiguousPath =
    ##"The path has a segment "." or "..", or a "#": a server could read it as another path."##

  /// Of a path that would be another, protected one to a server that takes several slashes for one.
  public static let mergedSlashes =
    "The path has several slashes in a row, and with one slash it is a path that needs authentication."

  /// One sentence for whoever reads the answer or the log.
  public var text: String {
    switch reason {
    case .badRequest(let fault): "The request is malformed: \(fault)."
    case .badPath: "The path is not percent-encoded UTF-8."
    case .ambiguousPath: Self.ambiguousPath
    case .mergedSlashes: Self.mergedSlashes
    case .httpVersion: "A WebSocket handshake needs HTTP/1.1."
    case .unsupportedHTTP: "Only HTTP/1.0 and HTTP/1.1 are spoken here."
    case .unknownMethod: "The method of the request is not known here."
    case .connect: "CONNECT is for forward proxies, and this server is none."
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
    case .originNotAllowed: "This origin is not allowed, or the request has no Origin header and needs one."
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

  /// Header fields beyond those that every refusal has.
  private var fields: [(name: String, value: String)] {
    switch reason {
    case .notAWebSocket: [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    case .unsupportedVersion: [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    case .tooManyConnections, .layerUnavailable, .identityUnavailable: [("Retry-After", "5")]
    case .addressOverLimit(let seconds): [("Retry-After", "\(seconds)")]
    case .stopping: [("Retry-After", "1")]
    case .refusedByUpstream(_, let fields, _), .notAuthenticated(_, let fields, _, _):
      fields.map { ($0.name, $0.value) }
    case .badRequest, .badPath, .ambiguousPath, .mergedSlashes, .httpVersion, .unsupportedHTTP,
      .unknownMethod, .connect, .headTooLong, .timeout,
      .methodNotGET,
      .badConnectionHeader,
      .badKey, .badSubprotocol, .badExtensions, .noRoute, .badSince, .severalOrigins, .originNotAllowed,
      .upstreamUnreachable,
      .upstreamFailed, .upstreamTimeout:
      []
    }
  }

  /// The whole answer; the connection is closed behind it.
  ///
  /// - Parameters:
  ///   - date: for the field `Date` (RFC 9110 section 6.6.1).
  ///   - isToHEAD: whether the request asks for the head alone (RFC 9110 section 9.3.2).
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
