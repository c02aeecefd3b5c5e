import Bytes
import Testing

struct HexadecimalTests {
  @Test func `every byte has two digits, and digits have a value`() {
    for byte in UInt8.min...UInt8.max {
      for uppercase in [false, true] {
        let text = byte.hexadecimal(width: 2, uppercase: uppercase)
        #expect(text == (uppercase ? text.uppercased() : text.lowercased()))
        #expect(UInt8(text, radix: 16) == byte)
        #expect(text.utf8.map(\.hexadecimalValue) == [byte >> 4, byte & 15])
      }
      let value = Character(Unicode.Scalar(byte)).hexDigitValue
      #expect(byte.hexadecimalValue.map(Int.init) == value)
    }
    #expect([0x00, 0x0A, 0xFF].hexadecimal == "000aff")
  }

  @Test func `a number has the width that is asked for, or more`() {
    #expect(UInt32(0xA0).hexadecimal(width: 4, uppercase: true) == "00A0")
    #expect(UInt32(0x1F600).hexadecimal(width: 4) == "1f600")
  }

  @Test(arguments: [
    ("ff", 255), ("FF", 255), ("0", 0), ("", nil), ("+f", nil), ("-0", nil), ("g", nil), ("1ff", nil),
  ])
  func `a number has no sign`(_ row: (text: String, value: UInt8?)) {
    #expect(UInt8(hexadecimal: row.text) == row.value)
  }
}
