package import GatewayConfig
import Logging
import Transport
package import WebSocketCore

/// Why the gateway closes a session: one row of the table of close codes.
///
/// Everything about a reason is said here: its close frame, the line in the log, what a client should do, `sluice codes`, and the
/// manual. A new one is a row below, and its name in `all`.
package struct CloseReason: Sendable, Equatable {
  var code: CloseCode
  /// The reason in the close frame: at most 123 bytes, as a control frame holds 125. In the table, `WHY` stands for what is
  /// decided when the session is closed.
  package var text: String
  var reconnecting: Reconnecting
  /// The level of the line in the log about it, beside those of `logging.sessions`; nil without one.
  var level: Logger.Level?
  /// When a session is closed for it, as one sentence of the manual in Markdown.
  var meaning: String
  /// When the client is to come back, as the text says; nil where it does not say.
  private(set) var retry: Duration?

  private init(
    _ code: CloseCode, _ text: String, _ reconnecting: Reconnecting, level: Logger.Level?,
    when meaning: String
  ) {
    self.code = code
    self.text = text
    self.reconnecting = reconnecting
    self.level = level
    self.meaning = meaning
  }

  /// The code of the close frame.
  package var closeCode: UInt16 { code.rawValue }

  /// Whether an operator has said so.
  var isOrder: Bool { meaning == CloseReason.disconnected.meaning }

  /// The same row with what is decided when the session is closed.
  func saying(_ text: String) -> CloseReason {
    var reason = self
    reason.text = text
    return reason
  }
}

extension Duration {
  /// What a client is told that is to come back after this time, in the form that clients look for: `retry in 3.4s`.
  var hint: String {
    // Not before.
    let tenths = (wholeNanoseconds + 99_999_999) / 100_000_000
    return "retry in \(tenths / 10).\(tenths % 10)s"
  }
}

extension CloseCode {
  /// Corresponds to HTTP's 401, for a refusal after the upgrade.
  static let unauthorized = CloseCode(rawValue: 4401)
  /// Corresponds to HTTP's 403.
  static let forbidden = CloseCode(rawValue: 4403)
  /// Corresponds to 400 and others.
  static let badRequest = CloseCode(rawValue: 4400)
  static let notFound = CloseCode(rawValue: 4404)
  static let tooMany = CloseCode(rawValue: 4429)
  /// Corresponds to 503 and others.
  static let unavailable = CloseCode(rawValue: 4503)
}

// MARK: - The table

extension CloseReason {
  static let pingTimeout = CloseReason(
    .goingAway, "no answer to a ping", .yes, level: .debug, when: "The client did not answer a ping.")

  private static let restart = CloseReason(
    .serviceRestart, "restarting; retry in N s", .yes, level: nil,
    when:
      "The gateway restarts, and says after how many seconds to come back: `restarting; retry in 3.4s`. `shutdown.code` sets another code."
  )

  /// - Parameters:
  ///   - code: `shutdown.code`.
  ///   - time: when the client is to come back.
  package static func restart(
    code: CloseCode = .serviceRestart, retry time: Duration = .zero
  ) -> CloseReason {
    var reason = restart.saying("restarting; \(time.hint)")
    reason.code = code
    reason.retry = time
    return reason
  }

  static let slowReader = CloseReason(
    .tryAgainLater, "the client reads too slowly: messages were dropped", .later, level: .debug,
    when:
      "The client reads more slowly than messages arrive for it (`limits.send_queue`, `limits.send_memory`).")

  static let inputOverLimit = CloseReason(
    .tryAgainLater, "the memory for unfinished messages is used up", .later, level: .warning,
    when: "Messages that have begun and not ended took too much memory (`limits.receive_memory`).")

  static let identityUnavailable = CloseReason(
    .tryAgainLater, "authentication is temporarily unavailable", .later, level: .info,
    when: "Authentication, or the channel layer after it, is temporarily unavailable.")

  static let upstreamLost = CloseReason(
    .badGateway, "the connection to the upstream was lost", .yes, level: .warning,
    when: "The upstream of a `proxy` route went away without a close frame, or broke the protocol.")

  // How the sessions of `consumer: view` end because of their view.

  static let viewUnusable = CloseReason(
    .internalError, "the answer of the application cannot be used", .later, level: nil,
    when:
      "The view of a `view` route gave an answer that is malformed, refuses a message, or is no answer of its own: the log has a line that says why."
  )

  static let messageUncertain = CloseReason(
    .internalError, "a message may not have been handled", .later, level: .warning,
    when:
      "The view of a `view` route was sent a message and did not answer, so that it may or may not have handled it. `retry: true` has it asked again."
  )

  static let messageUnhandled = CloseReason(
    .internalError, "a message was not handled", .later, level: .warning,
    when: "The view of a `view` route with `on_failure: close` could not be asked about a message.")

  static let viewAway = CloseReason(
    .tryAgainLater, "the application does not answer; try again later", .later, level: .warning,
    when: "The view of a `view` route could not be asked about a message for 30 s, or took none of them.")

  static let viewFailing = CloseReason(
    .tryAgainLater, "the application fails to handle a message; try again later", .later, level: .warning,
    when:
      "The view of a `view` route with `retry: true` answered each attempt to ask it about a message with an error (5xx), for 30 s: the log has a line with its status, and that of the view has the error."
  )

  static let notAuthenticated = CloseReason(
    .unauthorized, "WHY", .withNewToken, level: .info, when: "The token is not valid, and the text says why.")

  static let tokenLate = CloseReason(
    .unauthorized, "no token arrived in time", .withNewToken, level: .info,
    when: "The first message with a token did not arrive within `limits.handshake`.")

  static let tokenExpired = CloseReason(
    .unauthorized, "the token has expired", .withNewToken, level: nil,
    when: "The token expired while the session was open.")

  static let sessionOld = CloseReason(
    .unauthorized, "the session has reached its greatest age", .withNewToken, level: nil,
    when: "The session was open for `max_age`, with `expiry: keep`.")

  static let permissionOver = CloseReason(
    .unauthorized, "the permission has expired", .withNewToken, level: nil,
    when: "The `exp` in the answer of a `permission` came while the session was open.")

  static let tokenOfOther = CloseReason(
    .unauthorized, "the token belongs to another user", .withNewToken, level: nil,
    when: "A further token does not name the user of the first one.")

  static let tooManyHandshakes = CloseReason(
    .tooMany, "this user connects too often; try again later", .later, level: .info,
    when:
      "The user has connected more often than `limits.per_user.handshakes` allows, and its token came in a message."
  )

  static let tooManyMessages = CloseReason(
    .tooMany, "too many messages; try again later", .later, level: nil,
    when:
      "The client sent faster than `limits.rate` or `limits.per_user.messages` allows, and `over` is `close`."
  )

  static let notAllowed = CloseReason(
    .forbidden, "the claims of the token do not allow this", .no, level: .info,
    when:
      "The claims do not fulfil `require`, or give a group no valid name; or a `permission` refused the user, and the text says so."
  )

  static let userGone = CloseReason(
    .unauthorized, "the login has ended", .withNewToken, level: .info,
    when:
      "The view of a `callback` or a `permission` did not know the user any more when it was asked again (`recheck`)."
  )

  static let permissionGone = CloseReason(
    .forbidden, "the permission has ended", .no, level: .info,
    when: "The view of a `callback` or a `permission` refused the user when it was asked again (`recheck`).")

  static let groupsChanged = CloseReason(
    .serviceRestart, "the groups of this user have changed, please reconnect", .yes, level: .info,
    when: "A claim that is in the name of a group had changed when the view was asked again (`recheck`).")

  // How sessions end because the file of a running gateway has changed.

  static let routeGone = CloseReason(
    .serviceRestart, ClientEnd.routeGone.rawValue, .yes, level: nil,
    when: "The file was reloaded, and the path of the session leads to no route any more.")

  static let routeChanged = CloseReason(
    .serviceRestart, "WHY", .yes, level: nil,
    when:
      "The file was reloaded, and the session cannot go on by the route that its path leads to now: another consumer or upstream serves it, its groups or their channel layer are others, or so is what its client may do. The text says which."
  )

  static let loginNeeded = CloseReason(
    .unauthorized, ClientEnd.loginNeeded.rawValue, .withNewToken, level: nil,
    when: "The file was reloaded, and the route authenticates its clients now, or by another entry of `auth`."
  )

  static let originRefused = CloseReason(
    .forbidden, ClientEnd.originRefused.rawValue, .no, level: nil,
    when: "The file was reloaded, and `allowed_hosts` does not admit the `Origin` of the client any more.")

  /// Why a client cannot go on by the route that its path leads to now.
  package init(_ end: ClientEnd) {
    self =
      switch end {
      case .routeGone: .routeGone
      case .loginNeeded: .loginNeeded
      case .originRefused: .originRefused
      case .consumerChanged, .layerChanged, .groupsChanged, .rightsChanged:
        .routeChanged.saying("\(end.rawValue), please reconnect")
      }
  }

  package static let disconnected = CloseReason(
    .forbidden, "disconnected by an operator", .no, level: nil,
    when: "An operator ended the user's sessions, and may have given another text.")

  // How `refusals: close` refuses a handshake.

  static let handshakeBad = CloseReason(
    .badRequest, "WHY", .no, level: .info, when: refused(with: "400, or another one of 4xx"))

  static let handshakeUnauthorized = CloseReason(
    .unauthorized, "WHY", .withNewToken, level: .info, when: refused(with: "401"))

  static let handshakeForbidden = CloseReason(
    .forbidden, "WHY", .no, level: .info,
    when: refused(with: "403") + " A page whose origin is refused gets no other code.")

  static let handshakeLost = CloseReason(.notFound, "WHY", .no, level: .info, when: refused(with: "404"))

  static let handshakeTooMany = CloseReason(.tooMany, "WHY", .later, level: .info, when: refused(with: "429"))

  static let handshakeUnavailable = CloseReason(
    .unavailable, "WHY", .later, level: .info,
    when: refused(with: "502, 503 or 504, or another one that is not 4xx"))

  private static func refused(with status: String) -> String {
    "With `refusals: close`, in place of the status \(status)."
  }

  // What `ProtocolViolation` decides (RFC 6455 section 7.4.1): these rows are only for the manual.

  private static let protocolError = CloseReason(
    .protocolError, "WHY", .no, level: .debug, when: "The client broke the protocol.")

  private static let invalidData = CloseReason(
    .invalidData, "WHY", .no, level: .debug,
    when: "A text was not UTF-8, or compressed data cannot be decompressed.")

  private static let messageTooBig = CloseReason(
    .messageTooBig, "a message larger than allowed", .no, level: .debug,
    when: "A message was larger than `limits.message`.")

  /// Every reason of the gateway's own, in the order of the manual.
  static let all = [
    pingTimeout, protocolError, invalidData, messageTooBig, restart, slowReader, inputOverLimit,
    identityUnavailable, upstreamLost, viewUnusable, messageUncertain, messageUnhandled, viewAway,
    viewFailing,
    notAuthenticated, tokenLate, tokenExpired, sessionOld, permissionOver,
    tokenOfOther,
    tooManyHandshakes, tooManyMessages, notAllowed,
    userGone, permissionGone, groupsChanged, routeGone, routeChanged, loginNeeded, originRefused,
    disconnected,
    handshakeBad, handshakeUnauthorized, handshakeForbidden, handshakeLost, handshakeTooMany,
    handshakeUnavailable,
  ]

  /// Codes that the gateway passes on, and does not send by itself.
  static let foreign = [
    CloseReason(
      .unsupportedData, "", .no, level: nil,
      when: "Data of a kind that is not accepted. Only an upstream, or an event `websocket.close`, says this."
    ),
    CloseReason(
      .policyViolation, "", .no, level: nil,
      when: "A policy forbids it. Only an upstream, or an event `websocket.close`, says this."),
  ]
}

extension Logger {
  /// Writes a line about the end of a session, at the level of its reason.
  func tell(of reason: CloseReason, _ event: Message, _ facts: @autoclosure () -> Metadata) {
    guard let level = reason.level else { return }
    log(level: level, event, metadata: facts())
  }
}
