/// One entry of `auth:`: a way for clients to show who they are.
package struct AuthenticatorConfiguration: Sendable {
  package enum Kind: Sendable {
    case jwt(JWTConfiguration)
    case callback(CallbackConfiguration)
  }

  /// What routes call it.
  package var name: String
  package var kind: Kind
  /// Where it is named.
  package var range: SourceRange

  package init(name: String, kind: Kind, range: SourceRange) {
    self.name = name
    self.kind = kind
    self.range = range
  }
}

/// `jwt:`, tokens that are verified here (RFC 7519).
package struct JWTConfiguration: Sendable {
  /// What signatures are verified with.
  package enum Keys: Sendable {
    case key(VerificationKey)
    case set(KeySetPlace, refresh: Duration)
  }

  /// Where a JWK Set is (RFC 7517 section 5).
  package enum KeySetPlace: Sendable, Hashable {
    /// Absolute.
    case file(String)
    /// `http` or `https`; its path has no places.
    case url(UpstreamConfiguration)
  }

  package var keys: Keys
  /// Those that a token may be signed with; nil for what each key is for.
  package var algorithms: [SignatureAlgorithm]?
  /// `aud` names one of them; where there are none a token must not be meant for anybody.
  package var audiences: [String] = []
  /// `iss` is one of them; empty for any.
  package var issuers: [String] = []
  /// How far the clock of whoever signs may be off.
  package var leeway: Duration = .zero
  /// The claim that names the user; nil for `user_id`, or else `sub`.
  package var user: String?
  /// Tried in this order; the first that has a token decides.
  package var sources: [TokenSource] = [.header, .subprotocol]
  package var expiry = TokenExpiry.close

  package init(keys: Keys, algorithms: [SignatureAlgorithm]? = nil) {
    self.keys = keys
    self.algorithms = algorithms
  }
}

/// Where a client puts its token.
package enum TokenSource: Sendable, Hashable {
  /// `Authorization: Bearer TOKEN` (RFC 6750 section 2.1).
  case header
  case cookie(String)
  /// A parameter of the URL.
  case query(String)
  /// `bearer.TOKEN` among the subprotocols that are offered.
  case subprotocol
  /// The first message, `{"auth": "TOKEN"}`.
  case message

  /// Whether a request that asks for no WebSocket can have it.
  package var isOfEveryRequest: Bool {
    switch self {
    case .header, .cookie, .query: true
    case .subprotocol, .message: false
    }
  }
}

/// `expiry:`, what becomes of a session whose token expires.
package enum TokenExpiry: String, Sendable, Hashable, CaseIterable {
  case close
  /// The client is told some time before, and may send another token of the same user.
  case renew
}

/// `callback:`, a server that is asked who the client is.
package struct CallbackConfiguration: Sendable {
  /// `http` or `https`; its path has no places.
  package var url: UpstreamConfiguration
  /// The fields of the client's request that it is shown, in lower case.
  package var headers = ["cookie", "authorization"]
  package var timeout: Duration = .seconds(5)
  /// How long an identity is used again for the same fields; zero for never.
  package var cache: Duration = .zero
  /// The member of the answer that names the user; nil for `user`, or else `id`.
  package var user: String?

  package init(url: UpstreamConfiguration) {
    self.url = url
  }
}
