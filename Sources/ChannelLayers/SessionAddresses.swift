/// The names with which other processes reach single sessions; Django calls them specific channels.
///
/// `specific.1f…-0!r0.12.7` is member 12, the 7th holder of that place, of reactor 0 in the process `1f…`.
public struct SessionAddresses: Sendable {
  /// The prefix of all addresses of the process.
  private let prefix: String
  private let reactor: Int

  package init(_ prefix: String, reactor: Int) {
    self.prefix = prefix
    self.reactor = reactor
  }

  package func address(of member: MemberNumber) -> String {
    "\(prefix)r\(reactor).\(member.slot).\(member.serial)"
  }

  /// The member that has the address; nil if that is none of this reactor.
  package func number(in address: String) -> MemberNumber? {
    guard address.hasPrefix(prefix), let (reactor, member) = Self.parse(address.dropFirst(prefix.count)),
      reactor == self.reactor
    else { return nil }
    return member
  }

  /// Reads the part of an address after the prefix.
  public static func parse(_ local: some StringProtocol) -> (reactor: Int, member: MemberNumber)? {
    guard local.first == "r" else { return nil }
    let parts = local.dropFirst().split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3, let reactor = UInt16(parts[0]), let slot = UInt32(parts[1]),
      let serial = UInt32(parts[2])
    else { return nil }
    return (Int(reactor), MemberNumber(slot: slot, serial: serial))
  }
}

/// Identifies a member of a reactor's groups. A number is never used for a later member.
public struct MemberNumber: Sendable, Hashable {
  package var slot: UInt32
  package var serial: UInt32

  package init(slot: UInt32, serial: UInt32) {
    self.slot = slot
    self.serial = serial
  }
}
