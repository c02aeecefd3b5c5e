/// Finds members by their numbers. A number is an index into a table, and says which of the successive holders of that place is
/// meant.
struct MemberDirectory {
  /// Of the numbers that are given away here.
  let home: UInt16
  /// The last one that was given away.
  var lastSerial: UInt32
  private var places: [Membership?] = []
  private var free: [UInt32] = []
  /// Those that another reactor has given the numbers, in another process.
  private var moved: [MemberNumber: Membership] = [:]
  /// The numbers of members of another process that have not come yet.
  private var reserved: Set<MemberNumber> = []

  init(home: UInt16, lastSerial: UInt32) {
    (self.home, self.lastSerial) = (home, lastSerial)
  }

  /// The number that the next member gets.
  mutating func nextNumber() -> MemberNumber {
    lastSerial &+= 1
    if let slot = free.popLast() { return MemberNumber(slot: slot, serial: lastSerial, home: home) }
    places.append(nil)
    return MemberNumber(slot: UInt32(places.count - 1), serial: lastSerial, home: home)
  }

  /// Keeps places for members of another process, which come with their numbers. To be called before all other members come; for each
  /// reactor there whose members come here.
  mutating func reserve(_ numbers: [MemberNumber]) {
    reserved.formUnion(numbers)
    let slots = Set(reserved.lazy.filter { [home] in $0.home == home }.map(\.slot))
    let count = (slots.max().map { Int($0) + 1 } ?? 0)
    if count > places.count { places += Array(repeating: nil, count: count - places.count) }
    free = places.indices.reversed().map(UInt32.init).filter { !slots.contains($0) && places[Int($0)] == nil }
  }

  /// Takes a place that is kept for a member.
  ///
  /// - Returns: false if it is not, or is taken.
  mutating func takeReserved(_ number: MemberNumber) -> Bool { reserved.remove(number) != nil }

  mutating func add(_ membership: Membership) {
    if membership.number.home == home {
      places[Int(membership.number.slot)] = membership
    } else {
      moved[membership.number] = membership
    }
  }

  mutating func remove(_ membership: Membership) {
    guard membership.number.home == home else { return moved[membership.number] = nil }
    places[Int(membership.number.slot)] = nil
    free.append(membership.number.slot)
  }

  subscript(number: MemberNumber) -> Membership? {
    guard number.home == home else { return moved[number] }
    guard number.slot < places.count, let membership = places[Int(number.slot)],
      membership.number == number
    else { return nil }
    return membership
  }
}
