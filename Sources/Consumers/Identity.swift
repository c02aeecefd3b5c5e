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

  /// What a view has said of the client when it let it in; nil if it has said nothing.
  package let viewed: Viewed?

  /// The answer of the view of `consumer: view` to *connect*.
  package final class Viewed: Sendable {
    package let user: String?
    package let claims: JSON?
    /// Who the client is without it; nil for an anonymous one.
    package let before: Identity?

    fileprivate init(user: String?, claims: JSON?, before: Identity?) {
      self.user = user
      self.claims = claims
      self.before = before
    }
  }

  /// A client that only its view knows.
  package init(asView user: String, _ claims: JSON?) {
    self.user = user
    self.claims = claims ?? .object([])
    (expires, groups, beforePermission, permission) = (nil, [], nil, nil)
    viewed = Viewed(user: user, claims: claims, before: nil)
  }

  private init(_ known: Identity, _ viewed: Viewed) {
    user = viewed.user ?? known.user
    claims = viewed.claims.map { known.claims.merging($0) } ?? known.claims
    (expires, groups) = (known.expires, known.groups)
    (beforePermission, permission) = (known.beforePermission, known.permission)
    self.viewed = viewed
  }

  /// The same with what a view says of the client.
  package func changed(user: String?, claims: JSON?) -> Identity {
    guard user != nil || claims != nil else { return self }
    return Identity(self, Viewed(user: user, claims: claims, before: self))
  }

  /// The same with what a view has said of the client before it showed another token, or was asked about again.
  package func changed(like old: Identity) -> Identity {
    changed(user: old.viewed?.user, claims: old.viewed?.claims)
  }

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
    viewed = nil
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

extension Identity? {
  /// Who the client is without what its view has said of it when it let it in.
  package var authenticated: Identity? {
    guard let viewed = self?.viewed else { return self }
    return viewed.before
  }
}

extension JSON {
  /// An object with the members of another one, which count more.
  package func merging(_ other: JSON) -> JSON {
    guard case .object(let members) = self, case .object(let new) = other else { return other }
    let names = Set(new.map(\.key))
    return .object(members.filter { !names.contains($0.key) } + new)
  }

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
