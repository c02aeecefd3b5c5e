import Bytes
import Testing

/// RFC 9110 section 5.5: what is not ASCII in a field's value is opaque data.
struct OpaqueTextTests {
  @Test(arguments: [
    "", "plain", "J\u{FC}rgen", "\u{65E5}\u{672C}\u{8A9E}", "\u{1F468}\u{200D}\u{1F469}", "\u{10FF7F}",
    "\u{FFFD}",
  ])
  func `valid UTF-8 stays the text that it is`(_ text: String) {
    #expect(OpaqueText.escaped(Array(text.utf8)) == nil)
    #expect(OpaqueText.text(Array(text.utf8)) == text)
    #expect(OpaqueText.bytes(of: text) == Array(text.utf8))
  }

  @Test(
    arguments: [
      [0x63, 0x61, 0x66, 0xE9], [0xE9], [0xE9, 0x20], [0xFF, 0xFE], [0xC0, 0x80], [0xED, 0xA0, 0x80],
      [0xF4, 0x90, 0x80, 0x80],
      [0xE2, 0x82], [0xE2, 0x82, 0x41], [0xF4, 0x8F, 0xBE, 0x80], [0xF4, 0x8F, 0xBF, 0xBF, 0x41],
      [0x80, 0xC3, 0xA9],
      [0xF0, 0x9F, 0x91], [0xC3, 0xC3, 0xA9], [0xF4, 0xF4, 0x8F, 0xBF, 0xBF],
    ] as [[UInt8]])
  func `bytes that are not come back as they were`(_ bytes: [UInt8]) {
    let text = OpaqueText.text(bytes)
    #expect(OpaqueText.bytes(of: text) == bytes)
    #expect(!text.unicodeScalars.contains("\u{FFFD}"))
  }

  @Test func `every pair of bytes comes back, and no two are the same text`() {
    // Not as `String`s, which are equal where they are canonically equivalent.
    var texts = Set<[UInt8]>()
    var changed = 0
    for first in UInt8.min...UInt8.max {
      for second in UInt8.min...UInt8.max {
        let text = OpaqueText.text([first, second])
        if OpaqueText.bytes(of: text) != [first, second] { changed += 1 }
        texts.insert(Array(text.utf8))
      }
    }
    #expect(changed == 0)
    #expect(texts.count == 65536)
  }

  @Test func `pieces cut anywhere give what the whole gives`() throws {
    let bytes =
      Array("a\u{E9}".utf8) + [0xE9, 0x62] + Array("\u{65E5}\u{1F468}\u{10FFE9}".utf8) + [0xE2, 0x82, 0x0A]
    let whole = try #require(OpaqueText.escaped(bytes))
    for cut in bytes.indices {
      var escaper = OpaqueText.Escaper()
      let pieces = escaper.escape(bytes[..<cut]) + escaper.escape(bytes[cut...])
      #expect(pieces == whole)
      #expect(escaper.isEmpty)
    }
  }
}
