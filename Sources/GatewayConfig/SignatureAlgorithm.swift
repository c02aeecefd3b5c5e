/// The algorithm of a token's signature (RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 9864 section 2.2). `none` is not
/// supported.
package enum SignatureAlgorithm: String, Sendable, Hashable, CaseIterable {
  case hs256 = "HS256"
  case hs384 = "HS384"
  case hs512 = "HS512"
  case rs256 = "RS256"
  case rs384 = "RS384"
  case rs512 = "RS512"
  case ps256 = "PS256"
  case ps384 = "PS384"
  case ps512 = "PS512"
  case es256 = "ES256"
  case es384 = "ES384"
  case es512 = "ES512"
  case edDSA = "EdDSA"

  /// - Parameter name: the name in a token, a key set or the configuration. `Ed25519` and `EdDSA` are the same: RFC 9864
  ///   defines the first name for the second one with the only supported curve.
  package init?(named name: String) {
    if name == "Ed25519" { self = .edDSA } else { self.init(rawValue: name) }
  }

  /// The only kind of key for this algorithm, so that a public key can never be used as a shared secret.
  package var keyKind: KeyKind {
    switch self {
    case .hs256, .hs384, .hs512: .secret
    case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512: .rsa
    case .es256: .p256
    case .es384: .p384
    case .es512: .p521
    case .edDSA: .ed25519
    }
  }

  /// The minimum length of a shared secret, in bytes (RFC 7518 section 3.2); nil for other kinds of keys.
  package var leastSecret: Int? {
    switch self {
    case .hs256: 32
    case .hs384: 48
    case .hs512: 64
    default: nil
    }
  }
}

/// A kind of key.
package enum KeyKind: Sendable, Hashable {
  /// Shared by the issuer and the verifiers.
  case secret
  case rsa, p256, p384, p521, ed25519

  /// The algorithm for a key that does not name one.
  package var standardAlgorithm: SignatureAlgorithm {
    switch self {
    case .secret: .hs256
    case .rsa: .rs256
    case .p256: .es256
    case .p384: .es384
    case .p521: .es512
    case .ed25519: .edDSA
    }
  }

  /// For a sentence: "the key is ...".
  package var name: String {
    switch self {
    case .secret: "a shared secret"
    case .rsa: "an RSA key"
    case .p256: "a key on the curve P-256"
    case .p384: "a key on the curve P-384"
    case .p521: "a key on the curve P-521"
    case .ed25519: "an Ed25519 key"
    }
  }
}
