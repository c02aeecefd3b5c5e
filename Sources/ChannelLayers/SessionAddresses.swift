/// The names with which other processes reach single sessions; Django calls them specific channels.
///
/// `specific.1f…-0!9b02…` is a member of a group of some reactor in the process `1f…`. Whoever knows the name can send to the session,
/// so nobody can guess it: the last part has 128 bits, and only the process itself can read it.
public struct SessionAddresses: Sendable {
  /// The prefix of all addresses of the process.
  private let prefix: String
  let reactor: Int
  let cipher: AddressCipher

  /// - Parameter cipher: of the process, so that it can read the addresses of all its reactors.
  package init(_ prefix: String, reactor: Int, cipher: AddressCipher = AddressCipher()) {
    self.prefix = prefix
    self.reactor = reactor
    self.cipher = cipher
  }

  package func address(of member: MemberNumber) -> String {
    prefix + cipher.text(of: member)
  }

  /// The member that has the address, on whatever reactor; nil if that is none of this process.
  package func number(in address: String) -> MemberNumber? {
    guard address.hasPrefix(prefix) else { return nil }
    return cipher.member(of: address.dropFirst(prefix.count))
  }
}

/// Identifies a member of the groups of a process. A number is never used for a later member.
public struct MemberNumber: Sendable, Hashable {
  package var slot: UInt32
  package var serial: UInt32
  /// The reactor that has given the number away. The member is on another one where another process has taken it over that has fewer.
  package var home: UInt16

  package init(slot: UInt32, serial: UInt32, home: UInt16 = 0) {
    self.slot = slot
    self.serial = serial
    self.home = home
  }
}
