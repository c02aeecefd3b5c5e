import Testing

@testable import ChannelLayers

struct Base64Tests {
  @Test func `what is written is read again`() {
    for length in 0..<70 {
      let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ length) }
      #expect(Base64.decode(Array(Base64.encode(bytes).utf8)) == bytes)
      let token = Base64.encodeURLSafe(bytes).prefix { $0 != UInt8(ascii: "=") }
      #expect(Base64.decodeToken(token) == bytes)
    }
  }

  @Test(arguments: ["A", "AAA", "AA=A", "A===", "AA", "AAAA=", "AB==", "AA-_", "AA A", "AAAAA===", "===="])
  func `each value has one text`(_ text: String) {
    #expect(Base64.decode(Array(text.utf8)) == nil)
  }

  @Test(arguments: ["A", "AAAAA", "AA==", "AB", "AA+/", "AA A"])
  func `tokens have no padding`(_ text: String) {
    #expect(Base64.decodeToken(ArraySlice(text.utf8)) == nil)
  }
}
