package import JSON
import Routing

/// Who a client has shown itself to be: what an authenticator made of its token or its cookies.
///
/// Kept by a session for as long as it lives; a session without one is anonymous.
public final class Identity: Sendable {
  /// The user's name or number as text: what `{user}` stands for. Never empty.
  package let user: String
  /// The claims of the token, or the object that the call-back answered: what `{claims.NAME}` is looked up in.
  package let claims: JSON
  /// When it ceases to hold, in seconds since 1970 (RFC 7519 section 4.1.4: `exp`); nil where it does not say.
  package let expires: Double?

  package init(user: String, claims: JSON, expires: Double? = nil) {
    self.user = user
    self.claims = claims
    self.expires = expires
  }
}

extension Identity {
  /// What a place in a template stands for: `user`, or `claims.NAME` where the claim is text, a number or a truth value.
  package func value(of place: String) -> String? {
    if place == GroupTemplate.user { return user }
    guard place.hasPrefix(GroupTemplate.claimPrefix) else { return nil }
    switch claims[String(place.dropFirst(GroupTemplate.claimPrefix.count))] {
    case .string(let text): return text
    case .integer(let number): return "\(number)"
    case .unsigned(let number): return "\(number)"
    case .bool(let value): return "\(value)"
    case .double, .null, .array, .object, nil: return nil
    }
  }
}
