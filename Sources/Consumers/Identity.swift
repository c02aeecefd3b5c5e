import GatewayConfig
package import JSON
package import Routing

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
  /// What that `permission` has answered.
  package let permission: JSON?

  package init(
    user: String, claims: JSON, groups: [String] = [], expires: Double? = nil,
    beforePermission: Identity? = nil, permission: JSON? = nil
  ) {
    self.user = user
    self.claims = claims
    self.groups = groups
    self.expires = expires
    self.beforePermission = beforePermission
    self.permission = permission
  }

  /// Whether what a `permission` has answered ends before what is known without it.
  package var endsWithPermission: Bool { beforePermission.map { $0.expires != expires } ?? false }

  /// The value of a place in a template: `user`, or `claims.NAME` if the claim is text, a whole number or a truth value.
  package func value(of place: String) -> String? {
    place == GroupPattern.user ? user : claim(of: place)?.textInNames
  }

  /// The same, or a list of such values.
  package func values(of place: String) -> IdentityValue? {
    guard case .array(let elements)? = claim(of: place) else { return value(of: place).map { .one($0) } }
    let texts = elements.compactMap(\.textInNames)
    return texts.count == elements.count ? .list(texts) : nil
  }

  /// The claim that `claims.NAME` is about, which may be inside another one: `claims.realm.roles`.
  package func claim(of place: String) -> JSON? {
    guard place.hasPrefix(GroupPattern.claimPrefix) else { return nil }
    return claims.claim(String(place.dropFirst(GroupPattern.claimPrefix.count)))
  }
}

extension JSON {
  /// The value as it fills a place of a template; nil if it is neither text, nor a whole number, nor a truth value.
  package var textInNames: String? {
    switch self {
    case .string(let text): text
    case .integer(let number): "\(number)"
    case .unsigned(let number): "\(number)"
    case .bool(let value): "\(value)"
    case .double, .null, .array, .object: nil
    }
  }
}
