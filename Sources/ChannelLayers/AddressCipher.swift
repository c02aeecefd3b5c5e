import Bytes
import Crypto
import CryptoExtras

/// Turns the numbers of members into texts that nobody can guess, and back: 32 hexadecimal digits, as Django's channels have.
///
/// A text is one block of AES-128 under a key that each process makes at random and never shows. All 2^128 texts are equally likely
/// for a member, and its number cannot be read from its text. A text that somebody tries leads to one of N members with a chance
/// of N in 2^128, as if each had drawn its text at random, but no member has to keep one.
package struct AddressCipher: Sendable {
  private let key: SymmetricKey
  /// Where the members are whose addresses name another reactor than theirs.
  package let moved: MovedMembers

  package init() {
    self.init(nil)
  }

  /// Reads and makes the texts of another process.
  ///
  /// - Parameter state: what it has of the layer; nil for texts of the process's own.
  package init(resuming state: LayerState?) {
    self.init(state?.secret, lastSerials: state?.lastSerials ?? [:])
  }

  private init(_ secret: [UInt8]?, lastSerials: [Int: UInt32] = [:]) {
    key = secret.flatMap { $0.count == 16 ? SymmetricKey(data: $0) : nil } ?? SymmetricKey(size: .bits128)
    moved = MovedMembers(lastSerials)
  }

  /// Adds what the process needs that takes this one's place.
  package func add(to state: inout LayerState) {
    (state.secret, state.lastSerials) = (secret, moved.lastSerials)
  }

  /// The key, for the process that takes this one's place, and for nobody else.
  package var secret: [UInt8] { unsafe key.withUnsafeBytes { unsafe Array($0) } }

  func text(of member: MemberNumber) -> String {
    let number = UInt128(member.home) << 64 | UInt128(member.slot) << 32 | UInt128(member.serial)
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
  package func member(of text: some StringProtocol) -> MemberNumber? {
    // Lower case only, so that an address has only one form.
    guard text.utf8.count == 32, text.utf8.allSatisfy({ $0.isDigit || $0.isLowercaseLetter }),
      let value = UInt128(hexadecimal: text)
    else { return nil }
    var block = (0..<16).map { UInt8(truncatingIfNeeded: value >> (120 - 8 * $0)) }
    guard (try? AES.inversePermute(&block, key: key)) != nil else { return nil }
    let number = block.reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
    guard let home = UInt16(exactly: number >> 64) else { return nil }
    return MemberNumber(
      slot: UInt32(truncatingIfNeeded: number >> 32), serial: UInt32(truncatingIfNeeded: number), home: home)
  }
}
