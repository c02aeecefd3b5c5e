import Bytes
import JSON
package import JWTKit

/// A key for verifying signatures.
package enum VerificationKey: Sendable, Equatable {
  case secret([UInt8])
  case rsa(JWTKit.Insecure.RSA.PublicKey)
  case p256(ES256PublicKey)
  case p384(ES384PublicKey)
  case p521(ES512PublicKey)
  case ed25519(EdDSA.PublicKey)

  package var kind: KeyKind {
    switch self {
    case .secret: .secret
    case .rsa: .rsa
    case .p256: .p256
    case .p384: .p384
    case .p521: .p521
    case .ed25519: .ed25519
    }
  }
}

/// Why a text is not a usable key.
package struct KeyFault: Error, Sendable {
  package var message: String
  package var hint: String?

  package init(_ message: String, hint: String? = nil) {
    self.message = message
    self.hint = hint
  }
}

extension VerificationKey {
  /// Reads a public key in PEM form (RFC 7468 section 13).
  package init(pem: String) throws(KeyFault) {
    if pem.contains("PRIVATE KEY-----") {
      throw KeyFault(
        "the value is a private key, which only the issuer of the tokens should have",
        hint: "use the public key: openssl pkey -in KEY -pubout")
    }
    if pem.contains("CERTIFICATE-----") {
      throw KeyFault(
        "the value is a certificate, not a key", hint: "use its key: openssl x509 -in FILE -noout -pubkey")
    }
    guard pem.contains("PUBLIC KEY-----") else {
      throw KeyFault(
        "the value is not a key in PEM format", hint: "a public key begins with -----BEGIN PUBLIC KEY-----")
    }
    if let key = try? EdDSA.PublicKey(pem: pem) {
      self = .ed25519(key)
    } else if let key = try? ES256PublicKey(pem: pem) {
      self = .p256(key)
    } else if let key = try? ES384PublicKey(pem: pem) {
      self = .p384(key)
    } else if let key = try? ES512PublicKey(pem: pem) {
      self = .p521(key)
    } else if let key = try? JWTKit.Insecure.RSA.PublicKey(pem: pem) {
      self = .rsa(key)
    } else {
      throw KeyFault(
        "the key is damaged, or of a kind that is not supported",
        hint: "use RSA from 2048 bits, P-256, P-384, P-521 or Ed25519")
    }
  }

  /// Reads the public part of one key of a set (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2).
  ///
  /// - Returns: nil for a kind of key that is not supported, including shared secrets.
  fileprivate static func of(jwk: JSON) -> VerificationKey? {
    func text(_ name: String) -> String? { jwk[name]?.string }
    switch (text("kty"), text("crv"), text("x"), text("y")) {
    case ("EC", "P-256", let x?, let y?): return (try? ES256PublicKey(parameters: (x, y))).map { .p256($0) }
    case ("EC", "P-384", let x?, let y?): return (try? ES384PublicKey(parameters: (x, y))).map { .p384($0) }
    case ("EC", "P-521", let x?, let y?): return (try? ES512PublicKey(parameters: (x, y))).map { .p521($0) }
    case ("OKP", "Ed25519", let x?, _):
      return (try? EdDSA.PublicKey(x: x, curve: .ed25519)).map { .ed25519($0) }
    case ("RSA", _, _, _):
      guard let modulus = text("n"), let exponent = text("e") else { return nil }
      return (try? JWTKit.Insecure.RSA.PublicKey(modulus: modulus, exponent: exponent)).map { .rsa($0) }
    default: return nil
    }
  }
}

/// The keys of a JWK Set for verifying tokens.
package struct VerificationKeySet: Sendable {
  package struct Entry: Sendable {
    /// `kid`; nil if the key has none.
    package var name: String?
    package var key: VerificationKey
    /// The algorithms for which the key may be used; never empty.
    package var algorithms: [SignatureAlgorithm]
  }

  package var entries: [Entry]

  /// Further keys are ignored.
  private static let mostKeys = 100

  /// Reads a set (RFC 7517 section 5). Keys of other kinds, for other uses and for other algorithms are skipped.
  ///
  /// - Parameter allowed: the algorithms that tokens may be signed with; nil for the algorithms of each key.
  package init(_ text: [UInt8], allowed: [SignatureAlgorithm]?) throws(KeyFault) {
    let set: JSON
    do {
      set = try JSON.parse(text.rawBytes, strings: .compared)
    } catch {
      throw KeyFault("it is \(error)")
    }
    guard case .array(let keys)? = set["keys"] else {
      throw KeyFault("the file is not a key set", hint: #"it begins with {"keys": ["#)
    }
    entries = keys.prefix(Self.mostKeys).compactMap { Self.entry($0, allowed) }
    if entries.isEmpty { throw KeyFault("the key set has no key for the allowed algorithms") }
  }

  private static func entry(_ jwk: JSON, _ allowed: [SignatureAlgorithm]?) -> Entry? {
    if let use = jwk["use"], use != .string("sig") { return nil }
    if case .array(let operations)? = jwk["key_ops"], !operations.contains(.string("verify")) { return nil }
    guard let key = VerificationKey.of(jwk: jwk) else { return nil }
    var algorithms = allowed?.filter { $0.keyKind == key.kind } ?? [key.kind.standardAlgorithm]
    if case .string(let own)? = jwk["alg"] {
      guard let own = SignatureAlgorithm(named: own), own.keyKind == key.kind else { return nil }
      algorithms = allowed == nil || algorithms.contains(own) ? [own] : []
    }
    guard !algorithms.isEmpty else { return nil }
    return Entry(name: jwk["kid"]?.string, key: key, algorithms: algorithms)
  }
}
