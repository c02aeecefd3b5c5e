import Bytes
package import GatewayConfig
package import JSON
import JWTKit

/// Signs tokens for an authenticator of the configuration that has a shared secret: for operators, scripts and tests.
package struct TokenIssuer: Sendable {
  private let configuration: JWTConfiguration
  private let secret: VerificationKey
  private let algorithm: SignatureAlgorithm

  /// Why no token can be made for an authenticator; a sentence.
  package struct Refusal: Error, CustomStringConvertible {
    package var description: String
  }

  package init(for authenticator: AuthenticatorConfiguration) throws(Refusal) {
    let name = authenticator.name
    guard case .jwt(let configuration) = authenticator.kind else {
      throw Refusal(
        description: "\"\(name)\" asks a server who the client is (\"callback\"): it has no tokens of its own"
      )
    }
    guard case .key(let key) = configuration.keys, case .secret = key else {
      throw Refusal(
        description:
          "\"\(name)\" knows only public keys, which verify tokens and cannot sign them: ask the issuer that has the private key for a token, or add an authenticator with a \"secret\""
      )
    }
    self.configuration = configuration
    secret = key
    algorithm = configuration.algorithms?.first ?? key.kind.standardAlgorithm
  }

  /// The claims of a token that the authenticator accepts: the user, the times, and the first audience and issuer of the file.
  ///
  /// - Parameters:
  ///   - user: nil if one of the others names the user.
  ///   - time: from now to the end of the token.
  ///   - others: claims that are added; they replace those of the same name.
  ///   - now: seconds since 1970.
  package func claims(
    user: String?, for time: Duration, _ others: [JSON.Member], at now: Double
  ) -> JSON {
    var members: [JSON.Member] = []
    if let user { members.append(.init(key: configuration.userClaims[0], value: .string(user))) }
    members.append(.init(key: "iat", value: .integer(Int64(now))))
    members.append(.init(key: "exp", value: .integer(Int64(now + time / .seconds(1)))))
    if let audience = configuration.audiences.first {
      members.append(.init(key: "aud", value: .string(audience)))
    }
    if let issuer = configuration.issuers.first { members.append(.init(key: "iss", value: .string(issuer))) }
    let replaced = Set(others.map { ExactText(text: $0.key) })
    return .object(members.filter { !replaced.contains(ExactText(text: $0.key)) } + others)
  }

  /// Whether a claim names the user.
  package func namesUser(_ claim: String) -> Bool {
    configuration.userClaims.contains { $0 == claim || $0.hasPrefix(claim + ".") }
  }

  /// Signs the claims (RFC 7515 section 7.1).
  package func token(_ claims: JSON) async throws -> String {
    let header: JSON = ["alg": .string(algorithm.rawValue), "typ": "JWT"]
    var text = Base64.encodeToken(header.bytes) + [UInt8(ascii: ".")] + Base64.encodeToken(claims.bytes)
    guard let signer = await secret.verifier(algorithm) else {
      throw Refusal(description: "\(algorithm.rawValue) cannot be used with a shared secret")
    }
    let signature = try signer.sign(text)
    text += [UInt8(ascii: ".")] + Base64.encodeToken(signature)
    return String(decoding: text, as: UTF8.self)
  }
}
