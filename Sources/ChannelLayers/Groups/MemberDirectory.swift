/// Finds members by their numbers. A number is an index into a table, and says which of the successive holders of that place is
/// meant.
struct MemberDirectory {
  private var places: [Membership?] = []
  private var free: [UInt32] = []
  private var lastSerial: UInt32 = 0

  /// The number that the next member gets.
  mutating func nextNumber() -> MemberNumber {
    lastSerial &+= 1
    if let slot = free.popLast() { return MemberNumber(slot: slot, serial: lastSerial) }
    places.append(nil)
    return MemberNumber(slot: UInt32(places.count - 1), serial: lastSerial)
  }

  mutating func add(_ membership: Membership) {
    places[Int(membership.number.slot)] = membership
  }

  mutating func remove(_ membership: Membership) {
    places[Int(membership.number.slot)] = nil
    free.append(membership.number.slot)
  }

  subscript(number: MemberNumber) -> Membership? {
    guard number.slot < places.count, let membership = places[Int(number.slot)],
      membership.number == number
    else { return nil }
    return membership
  }
}
