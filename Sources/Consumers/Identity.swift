package import JSON
import Routing

/// The identity of an authenticated client, from its token or its cookies.
///
/// A session keeps it for its whole life. A session without an identity is anonymous.
public final class Identity: Sendable {
  /// The user's name or number as text, the value of `{user}`. Never empty.
  package let user: String
  /// The claims of the token, or the object that the callback answered. `{claims.NAME}` is looked up in it.
  package let claims: JSON
  /// When the identity expires, in seconds since 1970 (RFC 7519 section 4.1.4: `exp`); nil if it does not expire.
  package let expires: Double?
  /// The names in `groups` of what a view has answered, unchecked.
  package let groups: [String]
  /// What it was before a `permission` added to it; nil if none has.
  package let beforePermission: Identity?

  package init(
    user: String, claims: JSON, groups: [String] = [], expires: Double? = nil,
    beforePermission: Identity? = nil
  ) {
    self.user = user
    self.claims = claims
    self.expires = expires
    self.groups = groups
    self.beforePermission = beforePermission
  }

  /// The value of a place in a template: `user`, or `claims.NAME` if the claim is text, a number or a truth value.
  package func value(of place: String) -> String? {
    if place == GroupPattern.user { return user }
    guard place.hasPrefix(GroupPattern.claimPrefix) else { return nil }
    switch claims[String(place.dropFirst(GroupPattern.claimPrefix.count))] {
    case .string(let text): return text
    case .integer(let number): return "\(number)"
    case .unsigned(let number): return "\(number)"
    case .bool(let value): return "\(value)"
    case .double, .null, .array, .object, nil: return nil
    }
  }
}
