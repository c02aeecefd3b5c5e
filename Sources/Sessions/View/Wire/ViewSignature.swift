import Bytes
import Crypto
import GatewayConfig

/// Signs the questions to a view: HMAC-SHA256 over version, time, id, method, target and body.
struct ViewSignature: Sendable {
  /// One for each secret, with the key already in it, which is half of the work for a short text.
  private let prepared: [HMAC<SHA256>]

  /// The version of what is signed and of how it is written.
  static let version = 1

  init(_ secrets: [Secret]) {
    prepared = secrets.map { HMAC(key: SymmetricKey(data: $0.bytes)) }
  }

  /// The value of `X-Sluice-Signature`, with one signature for each secret: `v1=HEX, v1=HEX`; nil without any.
  ///
  /// - Parameters:
  ///   - time: seconds since 1970.
  ///   - target: byte for byte that of the request.
  func value(time: Int64, id: String, target: String, body: [UInt8]) -> String? {
    guard !prepared.isEmpty else { return nil }
    let head = Array("\(Self.version)\n\(time)\n\(id)\nPOST\n\(target)\n".utf8)
    return prepared.map { key in
      var code = key
      code.update(data: head)
      code.update(data: body)
      return "v\(Self.version)=" + code.finalize().hexadecimal
    }.joined(separator: ", ")
  }
}
