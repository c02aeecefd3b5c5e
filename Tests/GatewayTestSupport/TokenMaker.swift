import CryptoExtras
import Foundation
package import GatewayConfig
import JWTKit

/// Signs tokens of any content, good and bad, with keys made for one run.
package struct TokenMaker {
  package let algorithm: SignatureAlgorithm
  /// What its tokens are verified with.
  package let key: VerificationKey
  private let signer: any JWTAlgorithm

  package static let secret = Array("a secret of sixty-four bytes, which is enough for all of HS256-512".utf8)

  package init(_ algorithm: SignatureAlgorithm, secret: [UInt8] = secret) async throws {
    self.algorithm = algorithm
    let keys = JWTKeyCollection()
    switch algorithm {
    case .hs256, .hs384, .hs512:
      let missing = max(0, (algorithm.leastSecret ?? 0) - secret.count)
      await keys.add(
        hmac: HMACKey(from: secret + [UInt8](repeating: 0, count: missing)),
        digestAlgorithm: Self.digest(algorithm))
      key = .secret(secret)
    case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512:
      let made = try _RSA.Signing.PrivateKey(keySize: .bits2048)
      let own = try JWTKit.Insecure.RSA.PrivateKey(backing: made)
      if algorithm.rawValue.hasPrefix("P") {
        await keys.add(pss: own, digestAlgorithm: Self.digest(algorithm))
      } else {
        await keys.add(rsa: own, digestAlgorithm: Self.digest(algorithm))
      }
      key = .rsa(try JWTKit.Insecure.RSA.PublicKey(backing: made.publicKey))
    case .es256:
      let own = ES256PrivateKey()
      await keys.add(ecdsa: own)
      key = .p256(own.publicKey)
    case .es384:
      let own = ES384PrivateKey()
      await keys.add(ecdsa: own)
      key = .p384(own.publicKey)
    case .es512:
      let own = ES512PrivateKey()
      await keys.add(ecdsa: own)
      key = .p521(own.publicKey)
    case .edDSA:
      let own = try EdDSA.PrivateKey()
      await keys.add(eddsa: own)
      key = .ed25519(own.publicKey)
    }
    signer = try await keys.getKey()
  }

  private static func digest(_ algorithm: SignatureAlgorithm) -> DigestAlgorithm {
    switch algorithm.rawValue.suffix(3) {
    case "384": .sha384
    case "512": .sha512
    default: .sha256
    }
  }

  /// - Parameters:
  ///   - claims: JSON text.
  ///   - header: JSON text; nil for `alg` alone.
  package func token(_ claims: String, header: String? = nil) throws -> String {
    let signed =
      Self.encode(header ?? #"{"alg":"\#(algorithm.rawValue)","typ":"JWT"}"#) + "." + Self.encode(claims)
    return signed + "." + Self.encode(try signer.sign(Array(signed.utf8)))
  }

  package static func encode(_ text: String) -> String { encode(Array(text.utf8)) }

  package static func encode(_ bytes: [UInt8]) -> String {
    Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing(
      "=", with: "")
  }

  /// The public key of a maker of ES256 as a member of a set.
  package func jwk(named name: String?) -> String {
    guard case .p256(let key) = key, let (x, y) = key.parameters else { return "{}" }
    func text(_ base64: String) -> String {
      base64.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
    let kid = name.map { #""kid":"\#($0)","# } ?? ""
    return #"{"kty":"EC",\#(kid)"crv":"P-256","x":"\#(text(x))","y":"\#(text(y))"}"#
  }
}
