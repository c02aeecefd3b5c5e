package import Consumers
import WebSocketCore

/// The result of authenticating a client.
package enum Authentication: Sendable {
  case identity(Identity)
  /// The client sent no token, and needs none.
  case anonymous
  /// The client has sent no token yet. Its first message has to contain one.
  case awaited
  case refused(AuthRefusal)
  /// Authentication is temporarily unavailable. The client should try again later.
  case unavailable
}

/// Why a client is refused, and the answer that it gets.
package struct AuthRefusal: Error, Sendable, Equatable {
  /// 401: the client has to send a token, or another one. 403: the token is valid, but does not allow this. Its text is the reason
  /// for the log, and for a client that can only get a close frame. It contains nothing of the token.
  package var answer: Refusal
  /// What is wrong with the way in which the client seems to send its token; nil if that is not the matter.
  package var misplaced: String?
  /// A detail for the log. The client gets it only where it is `misplaced`.
  package var detail: String?
  /// The view that has refused; nil if none has.
  package var asked: UpstreamUser?

  /// RFC 6750 section 3: the challenge, and what was wrong with the token.
  private static func bearer(_ refusal: Refusal, error: String?) -> AuthRefusal {
    var challenge = #"Bearer realm="sluice""#
    if let error { challenge += #", error="\#(error)", error_description="\#(refusal.text)""# }
    let fields = [
      HeaderField(name: "WWW-Authenticate", value: challenge),
      HeaderField(name: "Content-Type", value: "text/plain; charset=utf-8"),
    ]
    return AuthRefusal(
      answer: refusal.answering(refusal.answerStatus, fields, body: Array((refusal.text + "\n").utf8)))
  }

  /// RFC 6750 section 3.1: without a token, the challenge has no error.
  static let noToken = bearer(.tokenNeeded, error: nil)

  /// - Parameter misplaced: what `Credentials.misplacedToken(for:)` has found.
  static func noToken(_ misplaced: String?) -> AuthRefusal {
    var refusal = noToken
    if let misplaced {
      refusal.misplaced = misplaced
      refusal.detail = misplaced
      refusal.answer.body = Array("\(refusal.answer.text): \(misplaced)\n".utf8)
    }
    return refusal
  }

  /// - Parameters:
  ///   - reason: without quotes and control characters.
  ///   - detail: for the log only.
  static func badToken(_ reason: String, detail: String? = nil) -> AuthRefusal {
    var refusal = bearer(.tokenNotValid.saying(reason), error: "invalid_token")
    refusal.detail = detail
    return refusal
  }

  /// One place has several tokens.
  static let severalTokens = badToken("there is more than one token")

  /// Two places have different tokens.
  static let differentTokens = badToken(
    "two places of the request hold different tokens",
    detail: "each place that \"from\" names may have a token, and they must be the same")

  /// The token could not stand in a field.
  static let oddToken = badToken("the token has characters that no token has")

  /// The same with another scheme in its challenge.
  func challenging(_ scheme: String) -> AuthRefusal {
    var refusal = self
    refusal.answer.fields = answer.fields.map { field in
      guard field.name == "WWW-Authenticate", field.value.hasPrefix("Bearer ") else { return field }
      return HeaderField(name: field.name, value: scheme + field.value.dropFirst("Bearer".count))
    }
    return refusal
  }

  /// The name of a group would not be valid with this identity.
  static let noGroup = bearer(.noGroupName, error: "insufficient_scope")

  /// The client would be in more groups than are possible.
  static let tooManyGroups = bearer(.tooManyGroups, error: "insufficient_scope")

  /// An operator keeps the client out for a time.
  ///
  /// - Parameter reason: the operator's, with any characters.
  static func keptOut(_ reason: String) -> AuthRefusal {
    let fields = [HeaderField(name: "Content-Type", value: "text/plain; charset=utf-8")]
    return AuthRefusal(
      answer: .keptOut.saying(reason).answering(403, fields, body: Array((reason + "\n").utf8)))
  }

  /// An operator has ended the user's sessions while this one was opening.
  static let disconnected = bearer(.endedByOperator, error: nil)

  /// A claim of a token does not fulfil `require:`.
  static let notAllowed = bearer(.claimsTooFew, error: "insufficient_scope")

  /// The permission has an `exp` that is over.
  static let permissionOver = AuthRefusal(
    answer: .userMayNot, detail: "the exp in the answer of \"permission\" is over")

  /// The answer of a callback does not fulfil `require:`. There is no token.
  static let userNotAllowed = bearer(.userMayNot, error: "insufficient_scope")
}
