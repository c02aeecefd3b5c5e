package import Routing

/// One entry of `auth:`: a way to authenticate clients.
package struct AuthenticatorConfiguration: Sendable {
  package enum Kind: Sendable, Equatable {
    case jwt(JWTConfiguration)
    case callback(CallbackConfiguration)
  }

  /// The name that routes use.
  package var name: String
  package var kind: Kind
  /// The place of the name in the file.
  package var range: SourceRange
}

/// `jwt:`, tokens that Sluice verifies itself (RFC 7519).
package struct JWTConfiguration: Sendable, Equatable {
  /// The keys for verifying signatures.
  package enum Keys: Sendable, Equatable {
    case key(VerificationKey)
    case set(KeySetPlace, refresh: Duration)
  }

  /// The place of a JWK Set (RFC 7517 section 5).
  package enum KeySetPlace: Sendable, Hashable {
    /// An absolute path.
    case file(String)
    /// An `http` or `https` URL; its path has no placeholders.
    case url(UpstreamConfiguration)
  }

  package var keys: Keys
  /// The algorithms that a token may be signed with; nil for the algorithms of each key.
  package var algorithms: [SignatureAlgorithm]?
  /// `aud` must name one of them. If empty, a token must not have an audience.
  package var audiences: [String] = []
  /// `iss` must be one of them; empty for any issuer.
  package var issuers: [String] = []
  /// How far the clock of the issuer may be off.
  package var leeway: Duration = .zero
  /// The claim that names the user; nil for `user_id` or, if that is missing, `sub`.
  package var user: String?
  /// What the user has to be; nil for any text or whole number.
  package var userType: UserType?
  /// Where a token may be. Two places must not have different ones.
  package var sources: [TokenSource] = [.header, .subprotocol]
  /// `schemes:`, of a token in `Authorization`; at least one.
  package var schemes = ["Bearer"]
  package var expiry = TokenExpiry.close
  /// The longest that a session may go on with a token that `expiry: keep` lets end; nil for any time.
  package var maxAge: Duration?

  /// The claims that may name the user; the first one that a token has does.
  package var userClaims: [String] { user.map { [$0] } ?? ["user_id", "sub"] }
}

/// Where a client puts its token.
package enum TokenSource: Sendable, Hashable {
  /// `Authorization: SCHEME TOKEN` (RFC 6750 section 2.1).
  case header
  case cookie(String)
  /// A parameter of the URL.
  case query(String)
  /// `bearer.TOKEN` among the offered subprotocols.
  case subprotocol
  /// The first message, `{"auth": "TOKEN"}`.
  case message

  /// Whether a request that does not ask for a WebSocket can carry it.
  package var isOfEveryRequest: Bool {
    switch self {
    case .header, .cookie, .query: true
    case .subprotocol, .message: false
    }
  }
}

/// `expiry:`, what happens to a session when its token expires.
package enum TokenExpiry: String, Sendable, Hashable, CaseIterable {
  case close
  /// Sluice notifies the client some time before, and the client may send another token of the same user.
  case renew
  /// The token is checked when the session begins, and its end means nothing after that, as in Channels.
  case keep
}

/// `callback:`, a server that Sluice asks for the client's identity.
package struct CallbackConfiguration: Sendable, Equatable {
  package var question: QuestionConfiguration
  /// `from:`, where a client's token may be, which is passed on in `Authorization`; empty if no token is looked for.
  package var sources: [TokenSource] = []
  /// The scheme of `Authorization`, both in the client's request and in the question.
  package var scheme = "Bearer"
  /// The member of the answer that names the user; nil for `user` or, if that is missing, `id`.
  package var user: String?
  /// What the user has to be; nil for any text or whole number.
  package var userType: UserType?

  /// The members of the answer that may name the user; the first one that it has does.
  package var userMembers: [String] { user.map { [$0] } ?? ["user", "id"] }

  /// The fields that are passed on if the file names none.
  static let standardHeaders = ["cookie", "authorization"]
  /// The same where `from` says what `Authorization` holds.
  static let headersBesideToken = ["cookie"]
}
