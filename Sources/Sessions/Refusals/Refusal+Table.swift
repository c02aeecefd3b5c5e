import Logging
import Transport
package import WebSocketCore

// A new refusal is a row here, and its name in one of the lists behind them.

// MARK: - The request itself

extension Refusal {
  package static let badRequest = Refusal(
    400, "The request is malformed: WHY.", .no,
    when: "The request, its path, its `Host` or its handshake is malformed.")

  package static func badRequest(_ fault: String) -> Refusal {
    badRequest.saying("The request is malformed: \(fault).")
  }

  package static let badPath = Refusal(
    400, "The path is not percent-encoded UTF-8.", .no, when: "The path cannot be decoded.")

  package static let ambiguousPath = Refusal(
    400, ##"The path has a segment "." or "..", or a "#": a server could read it as another path."##, .no,
    when: "A `proxy` route does not pass such a path on.")

  package static let mergedSlashes = Refusal(
    400,
    #"The path has several slashes in a row, a "\" or a ";": a server could read it as a path that needs authentication."#,
    .no,
    when:
      "A `proxy` route would pass the path on, and its upstream could read it as the path of a route with `auth`."
  )

  package static let speaksTLS = Refusal(
    400, "The client speaks TLS, and this port expects plain HTTP.", .no,
    when: "The connection begins with a TLS handshake, and the address is not one of `server.tls`.")

  package static let unsupportedHTTP = Refusal(
    400, "Only HTTP/1.0 and HTTP/1.1 are supported.", .no,
    when: "The request has another major version of HTTP.")

  /// RFC 9110 section 9.1.
  package static let unknownMethod = Refusal(
    501, "The method of the request is not supported.", .no, when: "HTTP does not have such a method.")

  /// RFC 9110 section 9.3.6.
  package static let connect = Refusal(
    501, "CONNECT is for forward proxies, and this server is not one.", .no, when: "The method is `CONNECT`.")

  package static let headTooLong = Refusal(
    431, "The request head is too long.", .no, when: "The request head is longer than 16 KiB.")

  package static let timeout = Refusal(
    408, "The request head did not arrive in time.", .yes,
    when: "The request head was not complete within `limits.handshake`.")
}

// MARK: - The opening handshake (RFC 6455 section 4.2.1)

extension Refusal {
  private static let version = [
    HeaderField(name: "Upgrade", value: "websocket"), HeaderField(name: "Sec-WebSocket-Version", value: "13"),
  ]

  package static let httpVersion = Refusal(
    400, "A WebSocket handshake needs HTTP/1.1.", .no,
    when: "The request has HTTP/1.0, often that of a proxy in front of the gateway.")

  package static let methodNotGET = Refusal(
    400, "A WebSocket handshake must be a GET request.", .no, when: "The handshake has another method.")

  package static let badConnectionHeader = Refusal(
    400, "The request needs \"Connection: Upgrade\".", .no,
    when: "The handshake lacks the field, often because a proxy does not pass it on.")

  package static let badKey = Refusal(
    400, "The request needs one Sec-WebSocket-Key of 16 bytes in base64.", .no,
    when: "The handshake has no key, several, or one that is not valid.")

  package static let badSubprotocol = Refusal(
    400, "Sec-WebSocket-Protocol must be a list of different tokens.", .no,
    when: "The list of subprotocols is malformed, or names one twice.")

  package static let badExtensions = Refusal(
    400, "Sec-WebSocket-Extensions is not a valid list of extensions.", .no,
    when: "The list of extensions is malformed.")

  package static let severalOrigins = Refusal(
    400, "The request has more than one Origin header.", .no, when: "Browsers send only one origin.")

  package static let notAWebSocket = Refusal(
    426, "This path speaks WebSocket: the request needs \"Upgrade: websocket\".", .no, fields: version,
    when: "The request has the fields of a handshake, but not this one.")

  package static let unsupportedVersion = Refusal(
    426, "Only version 13 of the WebSocket protocol is supported.", .no, fields: version,
    when: "The handshake asks for another version.")

  package init(_ fault: RequestFault) {
    switch fault {
    case .badRequest(let text): self = .badRequest(text)
    case .headTooLong: self = .headTooLong
    case .unsupportedHTTP: self = .unsupportedHTTP
    case .httpVersion: self = .httpVersion
    case .methodNotGET: self = .methodNotGET
    case .notAWebSocket: self = .notAWebSocket
    case .badConnectionHeader: self = .badConnectionHeader
    case .unsupportedVersion: self = .unsupportedVersion
    case .badKey: self = .badKey
    case .severalOrigins: self = .severalOrigins
    case .badSubprotocol: self = .badSubprotocol
    case .badExtensions: self = .badExtensions
    }
  }
}

// MARK: - Decisions of the gateway

extension Refusal {
  private static func retryAfter(_ seconds: Int) -> [HeaderField] {
    [HeaderField(name: "Retry-After", value: "\(seconds)")]
  }

  package static let badSince = Refusal(
    400, "\"since\" must be the id of a frame (EPOCH.OFFSET), or empty.", .no,
    when: "The `since` of the query is not an id.")

  package static let originNotAllowed = Refusal(
    403, "Pages of this origin are not allowed here.", .no, when: "The origin is not in `allowed_hosts`.")

  package static let originMissing = Refusal(
    403, "The request has no Origin header, and this path requires one.", .no,
    when: "A route with `allowed_hosts` was asked without an origin.")

  package static let noRoute = Refusal(
    404, "There is nothing at this path.", .no,
    when:
      "No route matches, or the group's name would not be legal (this includes a name of more than 99 characters)."
  )

  package static let addressOverLimit = Refusal(
    429, "There are too many connections from this address; try again later.", .later, level: .warning,
    hasOwnLine: true, when: "The address has reached `limits.per_ip`.")

  /// - Parameter retryAfter: seconds.
  package static func addressOverLimit(retryAfter seconds: Int) -> Refusal {
    var refusal = addressOverLimit
    refusal.fields = retryAfter(seconds)
    return refusal
  }

  package static let userOverLimit = Refusal(
    429, "This user connects too often; try again later.", .later,
    when: "The user has connected more often than `limits.per_user.handshakes` allows.")

  /// - Parameter retryAfter: seconds.
  package static func userOverLimit(retryAfter seconds: Int) -> Refusal {
    var refusal = userOverLimit
    refusal.fields = retryAfter(seconds)
    return refusal
  }

  package static let tooManyConnections = Refusal(
    503, "All connections are in use; try again later.", .later, fields: retryAfter(5),
    when: "`limits.connections` is reached, or the limit on open files has no room for more.")

  package static let layerUnavailable = Refusal(
    503, "The channel layer is not available; try again later.", .later, fields: retryAfter(5),
    when: "The channel layer is away.")

  package static let identityUnavailable = Refusal(
    503, "Authentication is temporarily unavailable; try again later.", .later, fields: retryAfter(5),
    when: "The `callback` or the key set does not answer.")

  package static let stopping = Refusal(
    503, "The gateway is being restarted; retry in N s.", .yes, fields: retryAfter(1),
    when: "The gateway stops, and says when to come back: `retry in 3.4s`.")

  /// - Parameter time: when the client is to come back.
  package static func stopping(retry time: Duration) -> Refusal {
    var refusal = stopping.saying("The gateway is being restarted; \(time.hint).")
    refusal.fields = retryAfter(RatePrice.seconds(max(1, time.wholeNanoseconds)))
    return refusal
  }

  package static let handshakesOverLimit = Refusal(
    503, "Too many clients are connecting; retry in N s.", .later, level: .info,
    when: "Clients connect faster than `limits.handshakes` allows, all together.")

  /// - Parameter retryAfter: seconds.
  package static func handshakesOverLimit(retryAfter seconds: Int) -> Refusal {
    var refusal = handshakesOverLimit.saying("Too many clients are connecting; retry in \(seconds)s.")
    refusal.fields = retryAfter(seconds)
    return refusal
  }
}

// MARK: - Authentication

extension Refusal {
  package static let tokenNeeded = Refusal(
    401, "a token is needed", .withNewToken, when: "The client has shown no token.")

  package static let tokenNotValid = Refusal(
    401, "WHY", .withNewToken, when: "The token is not valid, and the text says why.")

  package static let refusedByCallback = Refusal(
    401, "a valid login or token is needed", .withNewToken,
    when:
      "The server of the `callback`, or of `permission`, or the view of a route answered 401: the client gets its challenge and its body; of a `publish` route only the challenge."
  )

  package static let forbiddenByCallback = Refusal(
    403, "this user has no permission for this path", .no,
    when:
      "The server of the `callback`, or of `permission`, or the view of a route answered 403: the client gets its body, except that of a `publish` route."
  )

  package static let notFoundByCallback = Refusal(
    404, "there is nothing at this path for this user", .no,
    when:
      "The server of a `callback` or a `permission`, or the view of a route, whose `url` has a capture answered 404: the client gets its body, except that of a `publish` route."
  )

  package static let tooManyForCallback = Refusal(
    429, "there were too many requests; try again later", .later,
    when:
      "The server of a `callback` or a `permission`, or the view of a route, answered 429: the client gets its `Retry-After`."
  )

  package static let refusedByView = Refusal(
    nil, "the request was refused", .asApplication,
    when: "The view of a route answered *connect* with another 4xx: the client gets its status and its body.")

  package static let badPlace = Refusal(
    400, "A part of the path cannot be asked about: it is empty, \".\" or \"..\".", .no,
    when: "The `url` of a `callback`, a `permission` or a view has a capture that could lead to another URL.")

  package static let noGroupName = Refusal(
    403, "no valid group name can be made for this user", .no,
    when: "The user, or a claim that the group needs, is missing or not valid in a group name.")

  package static let tooManyGroups = Refusal(
    403, "this user would be in too many groups", .no,
    when: "The groups of the route, the lists in the claims and the answer of a view make more than 256.")

  package static let claimsTooFew = Refusal(
    403, CloseReason.notAllowed.text, .no, when: "The claims of the token do not fulfil `require`.")

  package static let userMayNot = Refusal(
    403, "this user is not allowed to use this path", .no,
    when: "The answer of the `callback` does not fulfil `require`.")

  package static let keptOut = Refusal(
    403, "kept out by an operator", .later,
    when:
      "An operator keeps the user, or everybody, out for a time, and may have given another text."
  )

  package static let endedByOperator = Refusal(
    403, CloseReason.disconnected.text, .no,
    when: "An operator ended the user's sessions while this one was opening.")
}

// MARK: - Upstreams

extension Refusal {
  package static let upstreamUnreachable = Refusal(
    502, "The upstream server cannot be reached.", .later, level: .warning, hasOwnLine: true,
    when: "No connection to the upstream of a `proxy` route can be made.")

  package static let upstreamFailed = Refusal(
    502, "The upstream server did not answer as a WebSocket server.", .no, level: .warning, hasOwnLine: true,
    when: "The upstream's answer to the handshake is not valid.")

  package static let upstreamTimeout = Refusal(
    504, "The upstream server did not answer in time.", .later, level: .warning, hasOwnLine: true,
    when: "The upstream did not answer within `limits.handshake`, or `read_timeout` (HTTP).")

  package static let refusedByUpstream = Refusal(
    nil, "The upstream server refused the handshake.", .asApplication,
    when: "The upstream refused: the client gets its status, its fields and its text.")
}

// MARK: - Views of `consumer: view`

extension Refusal {
  package static let viewUnavailable = Refusal(
    503, "The application does not answer; try again later.", .later, fields: retryAfter(5),
    when:
      "The view of a `view` route does not answer *connect* within `limits.handshake`, or its answer cannot be used."
  )

  /// - Parameter retryAfter: nil if nothing is known.
  static func viewUnavailable(retryAfter time: Duration?) -> Refusal {
    guard let time else { return viewUnavailable }
    var refusal = viewUnavailable
    refusal.fields = retryAfter(max(1, Int((time / .seconds(1)).rounded(.up))))
    return refusal
  }

  package static let heldOverLimit = Refusal(
    503, "Too much has come for this client before it was let in; try again later.", .later,
    fields: retryAfter(5),
    when:
      "While the view of a `view` route was asked *connect*, the events of the groups filled `limits.send_queue`."
  )
}

// MARK: - Plain HTTP requests

extension Refusal {
  package static let notOptions = Refusal(
    400, "The target * is for OPTIONS only.", .no, when: "A request to the server as a whole (HTTP).")

  package static let badTarget = Refusal(
    400, "The request target is not a path.", .no, level: nil,
    when: "A `proxy` route cannot pass the target on (HTTP).")

  package static let traceWithBody = Refusal(
    400, "A TRACE request must not have a body.", .no, level: nil, when: "A `proxy` route got one (HTTP).")

  package static let onlyRead = Refusal(
    405, "Use GET or HEAD to read a file.", .no, fields: [HeaderField(name: "Allow", value: "GET, HEAD")],
    level: nil, when: "A file was asked for with another method (HTTP).")

  package static let onlyGET = Refusal(
    405, "Use GET to read an event stream.", .no,
    fields: [HeaderField(name: "Allow", value: EventRoute.methods)],
    level: nil, when: "An `events` route was asked with another method (HTTP).")

  package static let otherFile = Refusal(
    412, "The file is not the one that the request is meant for.", .no,
    level: nil, when: "`If-Match` or `If-Unmodified-Since` does not hold (HTTP).")

  package static let bodyTooLarge = Refusal(
    413, "The body of the request is too large.", .no,
    level: nil, when: "The body is larger than `body` of the `proxy` route (HTTP).")

  package static let noSuchRange = Refusal(
    416, "The file does not have this range.", .no, level: nil,
    when: "`Range` begins behind the end of the file (HTTP).")

  package static let onlyWebSocket = Refusal(
    426, "This path speaks WebSocket.", .no,
    fields: [
      HeaderField(name: "Upgrade", value: "websocket"), HeaderField(name: "Connection", value: "Upgrade"),
    ],
    when: "Only a WebSocket route matches, and the request is a plain one (HTTP).")

  package static let unreadableFile = Refusal(
    500, "The file could not be read.", .no, level: .error, hasOwnLine: true,
    when: "The system reports a fault, which is in the log (HTTP).")

  package static let upstreamBusy = Refusal(
    503, "All connections to the upstream server are in use; try again later.", .later, fields: retryAfter(5),
    level: .warning, hasOwnLine: true,
    when: "No connection to the upstream became free within `connect_timeout` (HTTP).")

  package static let noMemory = Refusal(
    503, "Too many answers are waiting for slow clients; try again later.", .later, fields: retryAfter(5),
    level: nil, when: "`limits.send_memory` is used up (HTTP).")
}

// MARK: - Requests on publish routes, whose answers are JSON: {"error": TEXT}

extension Refusal {
  package static let publishMalformed = Refusal(
    400, "WHY", .no, when: "The body, the query or a header of a `publish` request is not valid.")

  package static let publishNeedsToken = Refusal(
    401, "a token is needed: send Authorization: Bearer TOKEN", .withNewToken,
    fields: [HeaderField(name: "WWW-Authenticate", value: #"Bearer realm="sluice""#)],
    when: "A `publish` request has no token.")

  package static let publishTokenNotValid = Refusal(
    401, "the token is not valid for this route", .withNewToken,
    fields: [HeaderField(name: "WWW-Authenticate", value: #"Bearer realm="sluice", error="invalid_token""#)],
    when: "The token of a `publish` request is not one of the route's.")

  package static let publishNotAllowed = Refusal(
    403, "WHY", .no,
    when: "The `publish` route does not allow this page, this user, the group or the operation.")

  package static let publishNothingThere = Refusal(
    404, "WHY", .no,
    when: "The `publish` route does not have this path, or the group has no `presence` or no `history`.")

  package static let publishMethod = Refusal(
    405, "use METHOD", .no, when: "The path of a `publish` route takes another method.")

  package static let publishBodyLate = Refusal(
    408, "the body did not arrive in time", .yes,
    when: "The body of a `publish` request was not complete within `limits.handshake`.")

  package static let publishTooLarge = Refusal(
    413, "WHY", .no,
    when: "The body of a `publish` request is larger than `body` of the route, or holds too many events.")

  package static let publishTooManyAtOnce = Refusal(
    413, "too many messages in one request: at most N", .no,
    when:
      "A user sends more events in one `publish` request than `limits.per_user.messages` allows at once (`burst`)."
  )

  /// - Parameter most: events of one request.
  package static func publishTooManyAtOnce(most: Int) -> Refusal {
    publishTooManyAtOnce.saying("too many messages in one request: at most \(most)")
  }

  package static let publishMediaType = Refusal(
    415, "WHY", .no, when: "The body of a `publish` request is not announced as JSON, or is compressed.")

  package static let publishKeyTaken = Refusal(
    422, "the idempotency key was used for another request: choose a new one", .no,
    when: "The idempotency key of a `publish` request belongs to another body.")

  package static let publishTooFast = Refusal(
    429, "too many messages: send them again in N s", .later,
    when: "The user of a `publish` request has sent more messages than `limits.per_user.messages` allows.")

  /// - Parameter retryAfter: seconds.
  package static func publishTooFast(retryAfter seconds: Int) -> Refusal {
    var refusal = publishTooFast.saying("too many messages: send them again in \(seconds) s")
    refusal.fields = retryAfter(seconds)
    return refusal
  }

  package static let publishBusy = Refusal(
    503, "WHY", .later, fields: retryAfter(1),
    when: "The gateway, or the channel layer, cannot carry out a `publish` request now.")

  package static let publishIdentityUnavailable = Refusal(
    503, CloseReason.identityUnavailable.text, .later, fields: retryAfter(5),
    when: "The `callback` or the key set of a `publish` route does not answer.")

  /// Those of requests that are no handshakes, or none that could be accepted.
  private static let beforeHandshakes = [
    badRequest, speaksTLS, unsupportedHTTP, headTooLong, timeout, unknownMethod, connect,
    httpVersion, methodNotGET, badConnectionHeader, badKey, badSubprotocol, badExtensions, severalOrigins,
    notAWebSocket, unsupportedVersion,
  ]

  /// Those of handshakes, which `refusals: close` turns into closes.
  static let ofHandshakes = [
    badPath, ambiguousPath, mergedSlashes,
    badSince, originNotAllowed, originMissing, noRoute, addressOverLimit, userOverLimit, tooManyConnections,
    handshakesOverLimit, layerUnavailable, identityUnavailable, stopping,
    tokenNeeded, tokenNotValid, refusedByCallback, forbiddenByCallback, notFoundByCallback,
    tooManyForCallback, refusedByView, badPlace, noGroupName, tooManyGroups, claimsTooFew, userMayNot,
    endedByOperator, keptOut,
    upstreamUnreachable, upstreamFailed, upstreamTimeout, refusedByUpstream,
    viewUnavailable, heldOverLimit,
  ]

  private static let ofPlainRequests = [
    notOptions, badTarget, traceWithBody, onlyRead, onlyGET, otherFile, bodyTooLarge,
    noSuchRange, onlyWebSocket, unreadableFile, upstreamBusy, noMemory,
    publishMalformed, publishNeedsToken, publishTokenNotValid, publishNotAllowed, publishNothingThere,
    publishMethod, publishBodyLate, publishTooLarge, publishTooManyAtOnce, publishMediaType,
    publishKeyTaken, publishTooFast, publishBusy, publishIdentityUnavailable,
  ]

  /// Every refusal, in the order of the manual within each status.
  package static let all: [Refusal] = beforeHandshakes + ofHandshakes + ofPlainRequests
}
