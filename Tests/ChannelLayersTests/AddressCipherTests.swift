import Testing

@testable import ChannelLayers

struct AddressCipherTests {
  private let cipher = AddressCipher()

  @Test(arguments: [
    MemberNumber(slot: 0, serial: 1), MemberNumber(slot: 12, serial: 7, home: 3),
    MemberNumber(slot: .max, serial: .max, home: .max),
  ]) func `an address leads to the member it was made for`(_ member: MemberNumber) {
    // Also from a reactor that has taken it over.
    let address = SessionAddresses("p!", reactor: 1, cipher: cipher).address(of: member)
    #expect(address.hasPrefix("p!") && address.utf8.count == 34)
    #expect(cipher.member(of: address.dropFirst(2)) == member)
  }

  @Test func `an address tells nothing of its neighbour`() {
    let texts = (1...1000).map { cipher.text(of: MemberNumber(slot: 0, serial: $0)) }
    #expect(Set(texts).count == 1000)
    // Of 128 bits, about half differ from one to the next. A chance of 1 in 10^9 for each to be outside.
    for (text, next) in zip(texts, texts.dropFirst()) {
      guard
        let (one, other) = UInt128(text, radix: 16).flatMap({ one in
          UInt128(next, radix: 16).map { (one, $0) }
        })
      else {
        Issue.record("not in hexadecimal: \(text), \(next)")
        continue
      }
      #expect((28...100).contains((one ^ other).nonzeroBitCount))
    }
  }

  @Test func `an address of another process leads nowhere`() {
    let text = AddressCipher().text(of: MemberNumber(slot: 0, serial: 1))
    #expect(cipher.member(of: text) == nil)
  }

  @Test(arguments: [
    "", "r0.1.2", "g1", "+", "00000000000000000000000000000000", "0000000000000000000000000000000g",
    "0000000000000000000000000000000", "000000000000000000000000000000000",
    "+0000000000000000000000000000000",
    "\u{e9}00000000000000000000000000000000",
  ]) func `anything else leads nowhere`(_ text: String) {
    #expect(cipher.member(of: text) == nil)
  }

  @Test func `there is one form of an address`() {
    // One of them has a letter.
    let texts = (1...50).map { cipher.text(of: MemberNumber(slot: 0, serial: $0)) }
    #expect(texts.contains { $0 != $0.uppercased() })
    for text in texts where text != text.uppercased() {
      #expect(cipher.member(of: text.uppercased()) == nil)
    }
  }
}
