import Consumers
import WebSocketCore

/// What became of the question who a client is.
enum Authentication: Sendable {
  case identity(Identity)
  /// It showed nothing, and need not.
  case anonymous
  /// It showed nothing yet: its first message has to.
  case awaited
  case refused(AuthRefusal)
  /// It could not be found out; the client is to try again later.
  case unavailable
}

/// Why a client is not let in, and the answer it gets.
struct AuthRefusal: Error, Sendable, Equatable {
  /// 401: show who you are, or show it anew. 403: that is known, and not enough.
  var status: Int
  /// Beyond those of every answer; with the type of the body.
  var fields: [HeaderField]
  var body: [UInt8]
  /// For the log, and for a client that can be told by a close frame only; nothing of the token is in it.
  var reason: String

  /// RFC 6750 section 3: what a client has to show, and what was wrong with what it showed.
  private static func bearer(_ status: Int, error: String?, _ reason: String) -> AuthRefusal {
    var challenge = #"Bearer realm="sluice""#
    if let error { challenge += #", error="\#(error)", error_description="\#(reason)""# }
    return AuthRefusal(
      status: status,
      fields: [
        HeaderField(name: "WWW-Authenticate", value: challenge),
        HeaderField(name: "Content-Type", value: "text/plain; charset=utf-8"),
      ],
      body: Array((reason + "\n").utf8), reason: reason)
  }

  /// RFC 6750 section 3.1: where nothing was shown, nothing is said to be wrong.
  static let noToken = bearer(401, error: nil, "a token is needed")

  /// - Parameter reason: without quotes and control characters.
  static func badToken(_ reason: String) -> AuthRefusal {
    bearer(401, error: "invalid_token", reason)
  }

  /// The name of a group would not be legal with this identity in it.
  static let noGroup = bearer(
    403, error: "insufficient_scope", "no valid group name can be made for this user")

  /// An operator has ended the user's sessions while this one was about to open.
  static let disconnected = bearer(403, error: nil, "disconnected by an operator")

  /// `require:` does not hold.
  static let notAllowed = bearer(
    403, error: "insufficient_scope", "the claims of the token do not allow this")
}
