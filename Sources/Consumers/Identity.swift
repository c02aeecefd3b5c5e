package import JSON

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
