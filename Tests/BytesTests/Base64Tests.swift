import Testing

@testable import Bytes

@Suite struct Base64Tests {
  @Test func readsWhatItWrites() {
    for length in 0..<70 {
      let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ length) }
      #expect(Base64.decode(Array(Base64.encode(bytes).utf8)) == bytes)
      let token = Base64.encodeURLSafe(bytes).prefix { $0 != UInt8(ascii: "=") }
      #expect(Base64.decodeToken(token) == bytes)
    }
  }

  @Test(arguments: ["A", "AAA", "AA=A", "A===", "AA", "AAAA=", "AB==", "AA-_", "AA A", "AAAAA===", "===="])
  func oneTextForEachValue(_ text: String) {
    #expect(Base64.decode(Array(text.utf8)) == nil)
  }

  @Test(arguments: ["A", "AAAAA", "AA==", "AB", "AA+/", "AA A"])
  func tokensHaveNoPadding(_ text: String) {
    #expect(Base64.decodeToken(ArraySlice(text.utf8)) == nil)
  }
}

extension Base64Tests {
  /// People write secrets with and without padding, and some encoders leave bits set after the end.
  @Test(arguments: [
    ("", ""), ("QQ==", "A"), ("QQ=", "A"), ("QQ", "A"), ("QR", "A"), ("QUI=", "AB"), ("QUJD", "ABC"),
    ("QUJD==", "ABC"),
    ("=", ""), ("Q", nil), ("QUJDR", nil), ("QQ===", nil), ("Q Q=", nil), ("QQ-_", nil),
    // Foundation took a digit after a sign of padding.
    ("QQ=Q", nil), ("QUJDQQ=Q", nil),
  ])
  func `what people write needs no padding`(_ row: (text: String, bytes: String?)) {
    #expect(Base64.decodeWritten(Array(row.text.utf8), isURLSafe: false) == row.bytes.map { Array($0.utf8) })
  }

  @Test func `each alphabet has two digits of its own`() {
    #expect(Base64.decodeWritten(Array("-_-_".utf8), isURLSafe: true) == [0xFB, 0xFF, 0xBF])
    #expect(Base64.decodeWritten(Array("+/+/".utf8), isURLSafe: false) == [0xFB, 0xFF, 0xBF])
    #expect(Base64.decodeWritten(Array("+/+/".utf8), isURLSafe: true) == nil)
    #expect("+/aZ09".utf8.allSatisfy(Base64.isDigit))
    #expect(!"-_= é".utf8.contains(where: Base64.isDigit))
  }
}
