import ChannelLayers
import GatewayConfig
import JSON

/// A token in its compact form (RFC 7515 section 7.1), read but not verified.
struct SignedToken: Sendable {
  var algorithm: SignatureAlgorithm
  /// `kid`, which key it says it was signed with.
  var keyName: String?
  /// What the signature is of.
  var signed: [UInt8]
  var signature: [UInt8]
  private var payload: ArraySlice<UInt8>

  /// In bytes. A longer one is not looked at.
  static let longest = 8 * 1024

  /// - Throws: why it is no token that could be accepted; the text has nothing of the token in it.
  init(_ text: String) throws(TokenFault) {
    guard text.utf8.count <= Self.longest else { throw TokenFault("the token is too long") }
    let parts = Array(text.utf8).split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 3 else { throw TokenFault("the token is not a JWT: it does not have three parts") }
    guard let header = Self.object(parts[0]) else { throw TokenFault("the header of the token is malformed") }
    guard case .string(let name)? = header["alg"], let algorithm = SignatureAlgorithm(named: name) else {
      throw TokenFault("the algorithm of the token is not accepted")
    }
    // RFC 7515 section 4.1.11: what it names must be understood, and no extension is.
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

  /// The claims (RFC 7519 section 4); to be read once the signature is verified. Of one that stands twice the last counts.
  func claims() throws(TokenFault) -> JSON {
    guard let claims = Self.object(payload) else { throw TokenFault("the claims of the token are malformed") }
    return claims
  }

  private static func object(_ part: ArraySlice<UInt8>) -> JSON? {
    guard let bytes = Base64.decodeToken(part),
      let value = try? unsafe JSON.parse(bytes.span.bytes, strings: .compared),
      case .object = value
    else { return nil }
    return value
  }
}

/// Why a token is not accepted: a few words without quotes, for its client and the log.
struct TokenFault: Error, Sendable, Equatable {
  var reason: String

  init(_ reason: String) {
    self.reason = reason
  }
}
