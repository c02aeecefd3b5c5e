import Bytes
import Testing

struct ASCIITests {
  @Test func `each byte is of the kinds that its character is of`() {
    for byte in UInt8.min...UInt8.max {
      let character = Character(Unicode.Scalar(byte))
      let isASCII = byte < 0x80
      #expect(byte.isDigit == (isASCII && character.isNumber))
      #expect(byte.isLetter == (isASCII && character.isLetter))
      #expect(byte.isLowercaseLetter == (isASCII && character.isLowercase))
      #expect(byte.isLetterOrDigit == (byte.isLetter || byte.isDigit))
    }
    #expect("0123456789".isOfDigits && "".isOfDigits && !"1a".isOfDigits && !"١".isOfDigits)
  }
}
