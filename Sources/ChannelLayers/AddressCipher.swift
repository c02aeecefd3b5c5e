import Bytes
import Crypto
import CryptoExtras

/// Turns the numbers of members into texts that nobody can guess, and back: 32 hexadecimal digits, as Django's channels have.
///
/// A text is one block of AES-128 under a key that each process makes at random and never shows. All 2^128 texts are equally likely
/// for a member, and its number cannot be read from its text. A text that somebody tries leads to one of N members with a chance
/// of N in 2^128, as if each had drawn its text at random, but no member has to keep one.
package struct AddressCipher: Sendable {
  private let key = SymmetricKey(size: .bits128)

  package init() {}

  /// - Parameter reactor: less than 65,536.
  func text(of member: MemberNumber, on reactor: Int) -> String {
    let number = UInt128(reactor) << 64 | UInt128(member.slot) << 32 | UInt128(member.serial)
    var block = (0..<16).map { UInt8(truncatingIfNeeded: number >> (120 - 8 * $0)) }
    do {
      try AES.permute(&block, key: key)
    } catch {
      // The block and the key always have the right lengths.
      preconditionFailure("AES refused a block: \(error)")
    }
    return block.hexadecimal
  }

  /// - Parameter text: what is behind the prefix of an address.
  /// - Returns: nil for a text that this cipher has not made; the member itself may have left.
  package func member(of text: some StringProtocol) -> (reactor: Int, member: MemberNumber)? {
    // Lower case only, so that an address has only one form.
    guard text.utf8.count == 32, text.utf8.allSatisfy({ $0.isDigit || $0.isLowercaseLetter }),
      let value = UInt128(hexadecimal: text)
    else { return nil }
    var block = (0..<16).map { UInt8(truncatingIfNeeded: value >> (120 - 8 * $0)) }
    guard (try? AES.inversePermute(&block, key: key)) != nil else { return nil }
    let number = block.reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
    guard let reactor = UInt16(exactly: number >> 64) else { return nil }
    let member = MemberNumber(
      slot: UInt32(truncatingIfNeeded: number >> 32), serial: UInt32(truncatingIfNeeded: number))
    return (Int(reactor), member)
  }
}
