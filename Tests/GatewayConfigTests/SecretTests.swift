import Foundation
import LayerTestSupport
import Testing

@testable import GatewayConfig

struct SecretTests {
  @Test func `bytes that are no text are kept as they are, the last one too`() {
    let bytes: [UInt8] = [0xFF, 0x00, 0x80, 0x0A]
    #expect(Secret(file: bytes).bytes == bytes)
    #expect(Secret(file: [0x00, 0x0A]).bytes == [0x00, 0x0A])
    #expect(Secret(file: bytes).text == nil)
  }

  @Test func `the line end behind a text is no part of it`() {
    for end in ["", "\n", "\r\n", "\n\n"] {
      #expect(Secret(file: Array(("s3cré t" + end).utf8)) == "s3cré t")
    }
    #expect(Secret(file: Array("\na".utf8)) == "\na")
    #expect(Secret(file: []).bytes == [])
  }

  @Test(
    arguments: [
      (SecretEncoding.base64, "/+8=", [0xFF, 0xEF]), (.base64, "/+8", [0xFF, 0xEF]),
      (.base64, " /+\n8=\n", [0xFF, 0xEF]),
      (.base64url, "_-8", [0xFF, 0xEF]), (.base64url, "_-8=", [0xFF, 0xEF]), (.hex, "fFeF\n", [0xFF, 0xEF]),
      (.base64, "_-8", nil), (.base64url, "/+8", nil), (.base64, "A", nil), (.base64, "AA===", nil),
      (.base64, "A=A=", nil), (.base64, "QQ=Q", nil), (.base64url, "QUJDQQ=Q", nil),
      (.hex, "f", nil), (.hex, "fg", nil), (.hex, "", []),
    ] as [(SecretEncoding, String, [UInt8]?)])
  func `an encoding is read as it is defined, with or without padding`(
    _ encoding: SecretEncoding, _ text: String, _ bytes: [UInt8]?
  ) {
    #expect(encoding.decode(Array(text.utf8)) == bytes)
  }

  /// The findings about a secret for tokens that a variable holds.
  private func findings(_ value: String, encoding: String? = nil) -> [Finding] {
    let text = """
      installed_apps: [echo]
      auth: {users: {jwt: {secret: {env: KEY\(encoding.map { ", encoding: \($0)" } ?? "")}}}}
      applications: {main: {websocket: [{path: ws/, consumer: echo}]}}
      """
    return ConfigurationLoader.load(text: text, environment: ["KEY": value]).report.findings
  }

  @Test func `a line end behind a text is no part of it in a variable either`() {
    let short = findings(String(repeating: "k", count: 31) + "\n")
    #expect(short.map(\.message) == ["the secret has 31 bytes, which is short enough to be guessed"])
    #expect(findings("\n").map(\.message) == ["the secret is empty"])
  }

  @Test func `hex that is not valid is not taken for base64`() {
    let digits = String(repeating: "0f", count: 32)
    #expect(findings(digits, encoding: "hex").isEmpty)
    let odd = findings(digits + "0", encoding: "hex")
    #expect(
      odd.map(\.message) == [
        #""secret" is not written in hex: it has 65 hex digits, and a byte is two of them"#
      ])
    #expect(odd.map(\.hint) == ["look whether a digit is missing, or one is too many"])
    for prefix in ["0x", " 0X"] {
      let found = findings(prefix + digits, encoding: "hex")
      #expect(
        found.map(\.message) == [
          #""secret" is not written in hex: it begins with "0x", which is not a part of hex"#
        ])
      #expect(found.map(\.hint) == [#"remove the "0x""#])
    }
    let other = findings("//8A" + digits, encoding: "hex")
    #expect(other.map(\.hint) == ["write encoding: base64"])
  }

  @Test func `a key that HMAC takes for a shorter one is refused`() {
    let zeros = String(repeating: "00", count: 40)
    #expect(
      findings(zeros, encoding: "hex").map(\.message) == [
        "the secret consists of NUL bytes only, which HMAC cannot tell from an empty key"
      ])
    let padded = String(repeating: "ab", count: 32) + "00"
    #expect(
      findings(padded, encoding: "hex").map(\.message) == [
        "the secret ends in a NUL byte, and HMAC cannot tell it from the same key without that byte"
      ])
    #expect(findings("00" + String(repeating: "ab", count: 32), encoding: "hex").isEmpty)
  }

  @Test func `a secret is never printed`() {
    var text = ""
    dump(Secret("hunter2"), to: &text)
    #expect(!"\(Secret("hunter2")) \(String(reflecting: Secret("hunter2"))) \(text)".contains("hunter2"))
  }

  @Test func `a variable whose bytes were no text is no secret`() throws {
    #expect(
      findings(String(repeating: "\u{FFFD}", count: 32)).map(\.message) == [
        #"the environment variable "KEY" holds bytes that are not UTF-8"#
      ])
  }
}
