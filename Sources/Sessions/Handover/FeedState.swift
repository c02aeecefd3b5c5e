package import Bytes
import ChannelLayers
import Consumers
import Routing
import Transport
import WebSocketCore

/// What a client has of its groups, as a record (`GroupFeed`).
struct FeedState: Recorded {
  /// In the order in which they were joined; the first one is the one that the client's messages go to.
  var groups: [Place] = []
  /// How many behind the first are of the route.
  var ofRoute = 0
  /// Whether frames of the first group contain positions.
  var isNumbered = false
  var replay: ReplayState?
  var identity: Identity?
  var captures: [Captures.Capture] = []
  /// Nanoseconds of the monotonic clock.
  var mutedAlone: UInt64?
  var token: Token?
  var meter: Meter?
  var standing: StandingState?
  /// Its place among those who hear of presence; nil where it is in none.
  var presence: Place?
  var waitsForPresence = false
  /// The groups that it waits for, and who wants it there.
  var awaited: [(group: String, wish: AwaitedGroups.Wish)] = []

  /// A place in a group.
  struct Place: Recorded {
    var group = ""
    /// Its home is `noHome` in a record that does not name it: it is the worker that the member is on.
    var number = MemberNumber(slot: 0, serial: 0, home: noHome)

    static let noHome = UInt16.max

    init(_ membership: Membership) { (group, number) = (membership.group, membership.number) }

    init(group: String, _ number: MemberNumber) { (self.group, self.number) = (group, number) }

    init(from record: inout RecordReader) throws(RecordedFault) {
      while let field = try record.next() {
        switch field.number {
        case 1: group = try field.text()
        case 2: number.slot = try field.integer(in: 0...Self.mostSlots)
        case 3: number.serial = try field.integer()
        case 4: number.home = try field.integer()
        default: break
        }
      }
    }

    mutating func settle(on worker: Int) {
      if number.home == Self.noHome { number.home = UInt16(worker) }
    }

    func write(to record: inout RecordWriter) {
      record.add(1, text: group)
      record.add(2, UInt64(number.slot))
      record.add(3, UInt64(number.serial))
      record.addAlways(4, UInt64(number.home))
    }

    /// A table has a place for each, so that a wrong number must not make it large.
    private static let mostSlots: UInt32 = 1 << 26
  }

  /// A history that is being sent.
  struct ReplayState: Recorded {
    var isNumbered = false
    var position: EventPosition?
    var hasBegun = false

    init(_ replay: Replay) {
      isNumbered = replay.isNumbered
      (position, hasBegun) = replay.progress
    }

    init(from record: inout RecordReader) throws(RecordedFault) {
      while let field = try record.next() {
        switch field.number {
        case 1: isNumbered = try field.flag()
        case 2: position = try field.record()
        case 3: hasBegun = try field.flag()
        default: break
        }
      }
    }

    func write(to record: inout RecordWriter) {
      record.add(1, isNumbered)
      if let position { record.add(2, position) }
      record.add(3, hasBegun)
    }
  }

  struct Token: Recorded {
    var renewalsPaidAt: UInt64 = 0
    var isExpiring = false

    init(_ token: GroupFeed.TokenState) {
      (renewalsPaidAt, isExpiring) = (token.renewalsPaidAt, token.isExpiring)
    }

    init(from record: inout RecordReader) throws(RecordedFault) {
      while let field = try record.next() {
        switch field.number {
        case 1: renewalsPaidAt = try field.time()
        case 2: isExpiring = try field.flag()
        default: break
        }
      }
    }

    func write(to record: inout RecordWriter) {
      record.add(1, renewalsPaidAt)
      record.add(2, isExpiring)
    }
  }

  struct Meter: Recorded {
    var paidAt: UInt64 = 0
    var isKnown = false
    /// When the pause is over; nil for none.
    var pausesUntil: UInt64?

    init(_ meter: MessageMeter) {
      (paidAt, isKnown) = (meter.paidAt, meter.isKnown)
      if meter.isPausing { pausesUntil = meter.timer?.due?.nanoseconds ?? 0 }
    }

    init(from record: inout RecordReader) throws(RecordedFault) {
      while let field = try record.next() {
        switch field.number {
        case 1: paidAt = try field.time()
        case 2: isKnown = try field.flag()
        case 3: pausesUntil = try field.time()
        default: break
        }
      }
    }

    func write(to record: inout RecordWriter) {
      record.add(1, paidAt)
      record.add(2, isKnown)
      if let pausesUntil { record.addAlways(3, pausesUntil) }
    }
  }

  init() {}

  init(from record: inout RecordReader) throws(RecordedFault) {
    while let field = try record.next() {
      switch field.number {
      case 1: groups.append(try field.record())
      case 2: ofRoute = try field.integer()
      case 3: isNumbered = try field.flag()
      case 4: replay = try field.record()
      case 5: identity = try IdentityState(try field.slice()).identity
      case 6: captures.append(try field.record())
      case 7: mutedAlone = try field.time()
      case 8: token = try field.record()
      case 9: meter = try field.record()
      case 10: standing = try field.record()
      case 11: presence = try field.record()
      case 12: waitsForPresence = try field.flag()
      case 13: awaited.append((try field.text(), .client))
      case 14: awaited.append((try field.text(), .others))
      case 15: awaited.append((try field.text(), .view))
      default: break
      }
    }
    guard ofRoute <= max(0, groups.count - 1) else {
      throw RecordedFault("a session has more groups than places")
    }
  }

  func write(to record: inout RecordWriter) {
    for place in groups { record.add(1, place) }
    record.add(2, ofRoute)
    record.add(3, isNumbered)
    if let replay { record.add(4, replay) }
    if let identity { record.record(5) { IdentityState(identity).write(to: &$0) } }
    for capture in captures { record.add(6, capture) }
    if let mutedAlone { record.addAlways(7, mutedAlone) }
    if let token { record.add(8, token) }
    if let meter { record.add(9, meter) }
    if let standing { record.add(10, standing) }
    if let presence { record.add(11, presence) }
    record.add(12, waitsForPresence)
    for (group, wish) in awaited {
      if wish.contains(.client) { record.addAlways(13, text: group) }
      if wish.contains(.others) { record.addAlways(14, text: group) }
      if wish.contains(.view) { record.addAlways(15, text: group) }
    }
  }

  /// Names the worker that it is of, in a record that does not say so.
  mutating func settle(on worker: Int) {
    for index in groups.indices { groups[index].settle(on: worker) }
    presence?.settle(on: worker)
  }

  /// The numbers of all its places.
  var numbers: [MemberNumber] { groups.map(\.number) + (presence.map { [$0.number] } ?? []) }
}

extension Captures.Capture: Recorded {
  package init(from record: inout RecordReader) throws(RecordedFault) {
    self.init(name: "", value: "")
    while let field = try record.next() {
      switch field.number {
      case 1: name = try field.text()
      case 2: value = try field.text()
      default: break
      }
    }
  }

  package func write(to record: inout RecordWriter) {
    record.add(1, text: name)
    record.add(2, text: value)
  }
}
