import Bytes
import GatewayConfig
import JSON

/// A token in its compact form (RFC 7515 section 7.1), read but not verified.
struct SignedToken: Sendable {
  var algorithm: SignatureAlgorithm
  /// `kid`, the name of the key that it claims to be signed with.
  var keyName: String?
  /// The signed bytes.
  var signed: [UInt8]
  var signature: [UInt8]
  private var payload: ArraySlice<UInt8>

  /// A longer token is refused without reading it. Bytes.
  static let longest = 8 * 1024

  /// - Throws: why the token cannot be accepted; the text contains nothing of the token.
  init(_ text: String) throws(TokenFault) {
    guard text.utf8.count <= Self.longest else { throw TokenFault("the token is too long") }
    let parts = Array(text.utf8).split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 3 else {
      // RFC 7516 section 7.1. Auth0 issues such tokens to those who ask for none with an audience.
      let isEncrypted = parts.count == 5
      throw TokenFault(
        "the token is not a JWT: it does not have three parts",
        detail: isEncrypted ? "it has five: it is encrypted, for its issuer only" : nil)
    }
    guard let header = Self.object(parts[0]) else { throw TokenFault("the header of the token is malformed") }
    guard case .string(let name)? = header["alg"] else {
      throw TokenFault("the algorithm of the token is not accepted", detail: "its header has no alg")
    }
    guard let algorithm = SignatureAlgorithm(named: name) else {
      throw TokenFault(
        "the algorithm of the token is not accepted",
        detail:
          "its alg is \"\(String(decoding: name.utf8.prefix(20), as: UTF8.self))\", which Sluice does not support"
      )
    }
    // RFC 7515 section 4.1.11: the named extensions must be understood, and Sluice supports none.
    guard header["crit"] == nil else {
      throw TokenFault("the token needs an extension (crit) that is not supported")
    }
    guard let signature = Base64.decodeToken(parts[2]) else {
      throw TokenFault("the signature of the token is malformed")
    }
    switch header["kid"] {
    case nil: break
    case .string(let kid)?: keyName = kid
    default: throw TokenFault("the header of the token is malformed")
    }
    self.algorithm = algorithm
    self.signature = signature
    signed = parts[0] + [UInt8(ascii: ".")] + parts[1]
    payload = parts[1]
  }

  /// The claims (RFC 7519 section 4). They must be read only after the signature is verified. If a claim appears twice, the
  /// last one counts.
  func claims() throws(TokenFault) -> JSON {
    guard let claims = Self.object(payload) else { throw TokenFault("the claims of the token are malformed") }
    return claims
  }

  private static func object(_ part: ArraySlice<UInt8>) -> JSON? {
    guard let bytes = Base64.decodeToken(part),
      let value = try? JSON.parse(bytes.rawBytes, strings: .compared), case .object = value
    else { return nil }
    return value
  }
}

/// Why a token is not accepted: a few words without quotes, for the client and the log.
struct TokenFault: Error, Sendable, Equatable {
  var reason: String
  /// For the log only.
  var detail: String?

  init(_ reason: String, detail: String? = nil) {
    self.reason = reason
    self.detail = detail
  }
}
