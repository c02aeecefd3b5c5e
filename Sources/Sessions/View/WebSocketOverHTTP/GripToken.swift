import Bytes
import Crypto
package import GatewayConfig
import JSON

/// The tokens of GRIP: JWTs with HS256 (RFC 7519, RFC 7515), by which a back end knows its gateway (`Grip-Sig`), and a gateway those who
/// publish.
package enum GripToken {
  /// Seconds for which a token is valid. One is made for each attempt.
  static let lifetime = 60.0
  static let issuer = "sluice"
  private static let header = Array(#"{"alg":"HS256","typ":"JWT"}"#.utf8)

  /// - Parameters:
  ///   - user: of the session, as `sub`; nil for an anonymous client.
  ///   - now: seconds since 1970.
  static func make(_ secret: Secret, user: String?, at now: Double) -> String {
    var claims: JSON = ["iss": .string(issuer), "exp": .integer(Int64(now + lifetime))]
    if let user { claims = claims.with(["sub": .string(user)]) }
    var token = Base64.encodeToken(header)
    token.append(UInt8(ascii: "."))
    token += Base64.encodeToken(claims.bytes)
    let code = HMAC<SHA256>.authenticationCode(for: token, using: SymmetricKey(data: secret.bytes))
    token.append(UInt8(ascii: "."))
    token += Base64.encodeToken(code)
    return String(decoding: token, as: UTF8.self)
  }

  /// Why a token is not valid, in a few words without quotes; nil if one of the secrets has signed it, and it has not expired.
  ///
  /// - Parameter now: seconds since 1970.
  package static func fault(in text: String, signedBy secrets: [Secret], at now: Double) -> String? {
    do throws(TokenFault) {
      let token = try SignedToken(text)
      guard token.algorithm == .hs256 else { return "the algorithm of the token is not HS256" }
      // All of them, so that the time reveals nothing.
      let fitting = secrets.filter {
        HMAC<SHA256>.isValidAuthenticationCode(
          token.signature, authenticating: token.signed, using: SymmetricKey(data: $0.bytes))
      }
      guard !fitting.isEmpty else { return "the signature of the token is wrong" }
      let claims = try token.claims()
      guard let expiry = try claims.time("exp") else { return "the token has no exp" }
      guard now < expiry else { return "the token has expired" }
      if let start = try claims.time("nbf"), now < start { return "the token is not valid yet" }
      return nil
    } catch {
      return error.reason
    }
  }
}
