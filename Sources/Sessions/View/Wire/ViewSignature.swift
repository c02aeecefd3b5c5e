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
    var text: [UInt8] = []
    text.reserveCapacity(id.utf8.count + target.utf8.count + 40)
    for part in [Self.versionText, String(time), id, "POST", target] {
      text.append(text: part)
      text.append(UInt8(ascii: "\n"))
    }
    let codes = prepared.map { key in
      var code = key
      code.update(data: text)
      code.update(data: body)
      return code.finalize()
    }
    return Self.value(of: codes)
  }

  private static let versionText = String(version)

  private static func value(of codes: [HMAC<SHA256>.MAC]) -> String {
    var value: [UInt8] = []
    value.reserveCapacity(codes.count * 80)
    for code in codes {
      value.append(text: value.isEmpty ? "v" : ", v")
      value.append(text: versionText)
      value.append(UInt8(ascii: "="))
      for byte in code { value.append(hexadecimal: byte) }
    }
    return String(decoding: value, as: UTF8.self)
  }
}
