import WebSocketCore

/// How a session ends whose token in a message was refused.
struct TokenRefusal: Equatable {
  var reason: CloseReason
  /// For the log only.
  var detail: String?
  /// The view that has refused, for the log.
  var asked: UpstreamUser?
}

extension AuthRefusal {
  /// What it means for a session whose client has shown a token in a message.
  ///
  /// - Parameter isFirst: whether it is the first token of the client, which is not let in yet.
  /// - Returns: nil where the token of before still holds.
  func ending(isFirst: Bool) -> TokenRefusal? {
    if answer.meaning == Refusal.userOverLimit.meaning { return TokenRefusal(reason: .tooManyHandshakes) }
    switch answer.answerStatus {
    case 400, 403, 404:
      let details = [answer.text, detail].compactMap(\.self).joined(separator: ": ")
      return TokenRefusal(reason: .notAllowed.saying(textOfForbidden), detail: details, asked: asked)
    // The view asks for fewer questions.
    case 429:
      return isFirst ? TokenRefusal(reason: .identityUnavailable, detail: answer.text, asked: asked) : nil
    default:
      return isFirst
        ? TokenRefusal(reason: .notAuthenticated.saying(answer.text), detail: detail, asked: asked) : nil
    }
  }

  /// A view that refuses knows the token, and says something else than its claims.
  private var textOfForbidden: String {
    switch answer.meaning {
    case Refusal.claimsTooFew.meaning: CloseReason.notAllowed.text
    case Refusal.badPlace.meaning: answer.text
    default: Refusal.userMayNot.text
    }
  }
}
