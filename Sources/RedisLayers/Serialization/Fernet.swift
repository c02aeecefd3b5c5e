import Bytes
import Crypto
import CryptoExtras
import Foundation
package import GatewayConfig

/// Symmetric encryption of messages, compatible with `symmetric_encryption_keys` of channels_redis (the Fernet specification).
///
/// A token is `80`, the time, an initialization vector, the text encrypted with AES-128-CBC, and an HMAC-SHA256 over all of it,
/// in base64. The first key encrypts; all keys are tried for decryption.
package struct Fernet: Sendable {
  private struct Key: Sendable {
    var signing: SymmetricKey
    var encryption: SymmetricKey
    var mark: String

    /// channels_redis uses the SHA-256 of the configured text or bytes.
    init(_ secret: Secret) {
      let digest = Array(SHA256.hash(data: secret.bytes))
      signing = SymmetricKey(data: digest[..<16])
      encryption = SymmetricKey(data: digest[16...])
      mark = String(SHA256.hash(data: Array("mark".utf8) + digest).hexadecimal.prefix(8))
    }
  }

  /// The SHA-256 of a configured key in hexadecimal, with which two sides can compare their keys without revealing them.
  package static func digest(of key: Secret) -> String {
    SHA256.hash(data: key.bytes).hexadecimal
  }

  private static let version: UInt8 = 0x80
  private static let headLength = 1 + 8 + 16
  private static let macLength = 32
  /// How far a sender's clock may be ahead. Seconds.
  private static let clockSkew: UInt64 = 60

  private let keys: [Key]

  /// - Returns: nil without keys.
  init?(keys: [Secret]) {
    guard !keys.isEmpty else { return nil }
    self.keys = keys.map { Key($0) }
  }

  /// Names each key, the one that encrypts first, so that it can be known beforehand what can be decrypted. It says no more of a key than
  /// a token does.
  var marks: [String] { keys.map(\.mark) }

  /// - Parameter now: seconds since 1970.
  func encrypt(
    _ plain: [UInt8], now: UInt64, vector: [UInt8] = (0..<16).map { _ in UInt8.random(in: 0...255) }
  ) -> [UInt8] {
    var token = [Self.version]
    token += (0..<8).map { UInt8(truncatingIfNeeded: now >> (56 - 8 * UInt64($0))) }
    token += vector
    do {
      token += try AES._CBC.encrypt(plain, using: keys[0].encryption, iv: AES._CBC.IV(ivBytes: vector))
    } catch {
      // Key and vector always have the right length, and the padding makes every text fit.
      preconditionFailure("AES-CBC refused a text: \(error)")
    }
    token += HMAC<SHA256>.authenticationCode(for: token, using: keys[0].signing)
    return Base64.encodeURLSafe(token)
  }

  /// - Parameter maximumAge: seconds; nil for any age.
  func decrypt(_ text: [UInt8], maximumAge: UInt64?, now: UInt64) throws(CodecFault) -> [UInt8] {
    guard let token = Base64.decodeURLSafe(text), token.first == Self.version,
      token.count >= Self.headLength + 16 + Self.macLength
    else { throw .undecryptable }
    let signed = token.dropLast(Self.macLength)
    let mac = token.suffix(Self.macLength)
    // Compares in constant time.
    guard
      let key = keys.first(where: {
        HMAC<SHA256>.isValidAuthenticationCode(mac, authenticating: signed, using: $0.signing)
      })
    else { throw .undecryptable }
    let time = token[1..<9].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    if let maximumAge {
      guard time.addingReportingOverflow(maximumAge).partialValue >= now else { throw .tooOld }
      guard time <= now + Self.clockSkew else { throw .undecryptable }
    }
    do {
      let vector = try AES._CBC.IV(ivBytes: token[9..<Self.headLength])
      return Array(try AES._CBC.decrypt(signed[Self.headLength...], using: key.encryption, iv: vector))
    } catch {
      throw .undecryptable
    }
  }
}
