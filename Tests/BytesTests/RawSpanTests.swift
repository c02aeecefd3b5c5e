import Bytes
import Testing

struct RawSpanTests {
  @Test func `a view shows the bytes, and a changing one changes them`() {
    var bytes: [UInt8] = Array("0123456789".utf8)
    let copy = bytes
    var view = bytes.mutableRawBytes
    view.storeBytes(of: UInt8(ascii: "x"), toByteOffset: 1, as: UInt8.self)
    #expect(bytes == Array("0x23456789".utf8))
    // The other array had the same storage.
    #expect(copy == Array("0123456789".utf8))
    #expect(bytes.rawBytes.string == "0x23456789")
    #expect(bytes.rawBytes.string(1..<3) == "x2")
    #expect([UInt8](copying: bytes.rawBytes.extracting(8..<10)) == Array("89".utf8))
    #expect(bytes.rawBytes.integer(at: 2, as: UInt32.self) == UInt32(littleEndian: 0x3534_3332))
    #expect([UInt8]().rawBytes.byteCount == 0)
  }

  @Test func `the text of a literal is its UTF-8`() {
    let text: StaticString = "é}"
    #expect([UInt8](copying: text.rawBytes) == [0xC3, 0xA9, 0x7D])
    let single: StaticString = "}"
    #expect([UInt8](copying: single.rawBytes) == [0x7D])
    let empty: StaticString = ""
    #expect(empty.rawBytes.byteCount == 0)
  }

  @Test func `a byte is found wherever it is, and only from the start on`() {
    func offset(_ bytes: [UInt8], _ start: Int) -> Int? { bytes.rawBytes.offset(of: 0x3A, from: start) }
    for count in 0..<20 {
      for place in 0..<max(count, 1) {
        var bytes = [UInt8](repeating: 0xBA, count: count)
        #expect(offset(bytes, 0) == nil)
        guard count > 0 else { continue }
        bytes[place] = 0x3A
        bytes[count - 1] = 0x3A
        #expect(offset(bytes, 0) == place)
        #expect(offset(bytes, place) == place)
        #expect(offset(bytes, place + 1) == (place == count - 1 ? nil : count - 1))
      }
    }
  }

  @Test func `a text is found wherever it is, and only from the start on`() {
    for count in 0..<20 {
      let bytes = [UInt8](repeating: UInt8(ascii: "a"), count: count)
      #expect(bytes.rawBytes.range(of: "ab") == nil)
      let text = bytes + Array("ab, aab".utf8)
      #expect(text.rawBytes.range(of: "ab") == count..<(count + 2))
      #expect(text.rawBytes.range(of: "ab", from: count + 1) == (count + 5)..<(count + 7))
      #expect(text.rawBytes.range(of: "ab", from: count + 6) == nil)
      #expect(text.rawBytes.range(of: "abc") == nil)
      #expect(text.rawBytes.range(of: "b, a") == (count + 1)..<(count + 5))
    }
    #expect([UInt8]().rawBytes.range(of: "a") == nil)
  }

  @Test func `a text is printable if each of its bytes is`() {
    for byte in UInt8.min...UInt8.max {
      let isPrintable = (0x20...0x7E).contains(byte)
      for place in 0..<19 {
        var bytes = [UInt8](repeating: UInt8(ascii: "a"), count: 19)
        bytes[place] = byte
        #expect(bytes.rawBytes.skipPrintable(from: 0) == (isPrintable || place >= 16 ? 16 : place))
        if byte < 0x80 { #expect(String(decoding: bytes, as: UTF8.self).isPrintableASCII == isPrintable) }
      }
    }
    #expect("".isPrintableASCII)
    #expect(!"aaaaaaaaaaaaaé".isPrintableASCII)
  }

  @Test func `bytes are equal if all of them are`() {
    func areEqual(_ one: [UInt8], _ other: [UInt8]) -> Bool {
      one.rawBytes.isEqualInConstantTime(to: other.rawBytes)
    }
    for count in 0..<20 {
      let bytes = (0..<count).map { UInt8($0) }
      #expect(areEqual(bytes, Array(bytes)))
      #expect(!areEqual(bytes, bytes + [0]))
      for place in 0..<count {
        var other = bytes
        other[place] ^= 0x80
        #expect(!areEqual(bytes, other))
      }
    }
  }

  @Test func `words are skipped up to the byte that is looked for`() {
    let bytes: [UInt8] = Array(repeating: 0x41, count: 19) + [0xC3, 0xA9] + Array(repeating: 0x41, count: 10)
    func skip(_ start: Int) -> Int { bytes.rawBytes.skipWords(from: start) { $0 } }
    #expect([0, 1, 3, 11, 12, 19, 20, 21, 24, 31].map(skip) == [19, 19, 19, 19, 19, 19, 20, 29, 24, 31])
    // Fewer than eight bytes are left, and are not looked at.
    #expect(Array(bytes[..<21]).rawBytes.skipWords(from: 14) { $0 } == 14)
  }
}
