public import Transport

/// The groups of one reactor. Events of all layers reach the sessions through it.
///
/// Confined to its reactor. Per event it takes a dictionary look-up and one rendering for each audience; per turn, one write
/// for each member. No step is taken for each pair of member and event.
public final class LocalGroups {
  /// Counts for tests and metrics.
  package struct Counters: Sendable, Equatable {
    /// Events for a group that has members here.
    package var events: UInt64 = 0
    /// Renderings: one for each event and route.
    package var renderings: UInt64 = 0
    /// Writes to members: one for each member and turn.
    package var writes: UInt64 = 0
    /// Events that a route ignored.
    package var ignored: UInt64 = 0
  }

  /// If more frames than this wait, they are sent before the turn ends, so that a burst stays bounded.
  private static let flushThreshold = 256 * 1024

  /// At the end of a turn, the clock is read once for this many writes.
  private static let writesPerLook = 128

  private let reactor: Reactor
  private let addresses: SessionAddresses
  private var directory: MemberDirectory
  private let buffers = BufferReserve()
  private var groups: [String: [Audience]] = [:]
  private var all = AudienceList()
  private var dirty: [Audience] = []
  private var isScheduled = false
  package private(set) var counters = Counters()

  package init(reactor: Reactor, addresses: SessionAddresses) {
    self.reactor = reactor
    self.addresses = addresses
    directory = MemberDirectory(
      home: UInt16(addresses.reactor),
      lastSerial: addresses.cipher.moved.lastSerials[addresses.reactor] ?? 0)
  }

  package var groupCount: Int { groups.count }

  /// A number that changes whenever members may have something to catch up on.
  package var deliveries: UInt64 { counters.events }

  package func memberCount(of group: String) -> Int {
    groups[group]?.reduce(0) { $0 + $1.members.count } ?? 0
  }

  /// The members of a group here, by audience. It takes the same time for any number of them.
  package func memberships(of group: String) -> [[Membership]] {
    groups[group]?.map(\.members) ?? []
  }

  /// The member with this address; nil if it is not here.
  package func member(at address: String) -> (any GroupMember)? {
    addresses.number(in: address).flatMap { directory[$0]?.member }
  }

  /// Some of the groups that have members here, in no order. A group with several audiences is reported in parts.
  ///
  /// If a group's members stay, each of its parts is reported exactly once, even if audiences come and go between the calls.
  ///
  /// - Parameters:
  ///   - start: 0, or the result of the last call.
  ///   - count: how many places to visit.
  /// - Returns: also where to continue; nil at the end.
  package func memberCounts(from start: Int, most count: Int, where isWanted: (String) -> Bool) -> (
    counts: [(group: String, members: Int)], next: Int?
  ) {
    var counts: [(group: String, members: Int)] = []
    let next = all.visit(from: start, most: count) { audience in
      guard isWanted(audience.group) else { return }
      counts.append((audience.group, audience.members.count))
    }
    return (counts, next)
  }

  /// Adds the session to the group. It gets every event that is delivered from now on, and no earlier one.
  ///
  /// - Parameter route: identifies the members that share one rendering: those of a route with the same agreement on
  ///   compression.
  package func join(
    _ member: any GroupMember, group: String, route: ObjectIdentifier, renderer: any EventRenderer
  ) -> Membership {
    let membership = audience(of: group, route, renderer).add(member, number: directory.nextNumber())
    directory.add(membership)
    return membership
  }

  /// The last number that was given to a member.
  package var lastSerial: UInt32 { directory.lastSerial }

  /// Keeps the numbers of members that come from another process (`join(number:)`), so that nobody else gets them. To be called before any
  /// member joins.
  ///
  /// - Parameters:
  ///   - reactor: the one there that has them.
  ///   - lastSerial: the last one that it has given away.
  package func reserve(_ numbers: [MemberNumber], lastSerial: UInt32, of reactor: Int) {
    directory.reserve(numbers)
    if reactor == addresses.reactor { directory.lastSerial = lastSerial }
    addresses.cipher.moved.note(lastSerial: lastSerial, of: reactor)
    addresses.cipher.moved.add(
      Set(numbers.lazy.map(\.home)).subtracting([directory.home]), on: addresses.reactor)
  }

  /// Whether it has not left.
  package func holds(_ membership: Membership) -> Bool { directory[membership.number] === membership }

  /// Adds a session with the number that it had in another process, so that its address stays the same.
  ///
  /// - Parameter number: one of those that are reserved; nil for a new one.
  package func join(
    _ member: any GroupMember, group: String, route: ObjectIdentifier, renderer: any EventRenderer,
    number: MemberNumber?
  ) -> Membership {
    guard let number, directory.takeReserved(number) else {
      return join(member, group: group, route: route, renderer: renderer)
    }
    let membership = audience(of: group, route, renderer).add(member, number: number)
    directory.add(membership)
    return membership
  }

  /// Adds the session to no group: it has an address then, whatever groups it joins and leaves.
  package func joinAlone(
    _ member: any GroupMember, route: ObjectIdentifier, renderer: any EventRenderer
  ) -> Membership {
    join(member, group: Self.nowhere, route: route, renderer: renderer)
  }

  /// The same with the number that it had in another process.
  package func joinAlone(
    _ member: any GroupMember, route: ObjectIdentifier, renderer: any EventRenderer, number: MemberNumber?
  ) -> Membership {
    join(member, group: Self.nowhere, route: route, renderer: renderer, number: number)
  }

  /// No group can have this name.
  static let nowhere = ":alone"

  private func audience(
    of group: String, _ route: ObjectIdentifier, _ renderer: any EventRenderer
  ) -> Audience {
    if let audience = groups[group]?.first(where: { $0.key == route }) { return audience }
    let audience = Audience(group: group, key: route, renderer: renderer)
    groups[group, default: []].append(audience)
    all.insert(audience)
    return audience
  }

  /// Moves the member to the audience of another route or renderer.
  package func move(_ membership: Membership, route: ObjectIdentifier, renderer: any EventRenderer) {
    let old = membership.audience
    _ = old.catchUp(membership)
    let new = audience(of: old.group, route, renderer)
    guard new !== old else { return }
    old.remove(membership)
    new.adopt(membership)
    forgetIfEmpty(old)
  }

  package func leave(_ membership: Membership) {
    let audience = membership.audience
    audience.remove(membership)
    directory.remove(membership)
    forgetIfEmpty(audience)
  }

  private func forgetIfEmpty(_ audience: Audience) {
    guard audience.members.isEmpty else { return }
    all.remove(audience)
    groups[audience.group]?.removeAll { $0 === audience }
    if groups[audience.group]?.isEmpty == true {
      groups[audience.group] = nil
    }
  }

  /// Renders the event for every audience of the group. The frames are sent at the end of the turn.
  public func deliver(_ event: Event, to group: String) {
    guard let audiences = groups[group] else { return }
    counters.events += 1
    let own = event.ownRecipients
    var absent = AbsentMembers()
    for audience in audiences {
      guard audience.selects || !own.areAll else {
        deliver(event, in: audience)
        continue
      }
      guard let recipients = audience.renderer.recipients(of: event, own: own) else {
        counters.ignored += 1
        continue
      }
      if absent.addresses != recipients.except { absent = AbsentMembers(at: recipients.except, in: self) }
      deliver(event, in: audience, for: recipients.user, except: absent)
    }
  }

  /// - Parameter absent: members of the audience that do not get it.
  func deliver(_ event: Event, in audience: Audience, except absent: [Membership] = []) {
    // Events after a close are for the sessions that have joined since.
    if audience.closing?.hasNewcomers == true { flush(audience) }
    for membership in absent { _ = audience.catchUp(membership) }
    let hadWork = audience.hasWork
    let rendering = audience.render(event, buffers: buffers, except: absent)
    for membership in absent { audience.passOver(membership) }
    switch rendering {
    case .ignored: counters.ignored += 1
    case .personal:
      for membership in audience.members(except: absent) { send(event, to: membership) }
    case .frames, .close: counters.renderings += 1
    }
    guard audience.hasWork else { return }
    if !hadWork { markDirty(audience) }
    if let waiting = audience.frames?.count, waiting > Self.flushThreshold { flush(audience) }
  }

  /// Delivers events to all members except some.
  package func deliver(_ events: [Event], to group: String, except members: [Membership]) {
    for membership in members { _ = catchUp(membership) }
    for event in events { deliver(event, to: group) }
    for membership in members { membership.audience.passOver(membership) }
  }

  /// Delivers an event to some members of a group, rendered once for each audience.
  package func deliver(_ event: Event, to members: [Membership]) {
    for (_, members) in Dictionary(grouping: members, by: { ObjectIdentifier($0.audience) }) {
      counters.events += 1
      deliver(event, toSomeOf: members[0].audience, members)
    }
  }

  func deliver(_ event: Event, toSomeOf audience: Audience, _ members: [Membership]) {
    let frames = buffers.take()
    defer { buffers.giveBack(frames) }
    let rendering = audience.renderer.render(
      event.named(audience.group, for: audience.renderer), for: nil, into: frames)
    switch rendering {
    case .ignored: counters.ignored += 1
    case .personal: for membership in members { send(event, to: membership) }
    case .frames, .close:
      counters.renderings += 1
      for membership in members { write(frames, rendering, to: membership) }
    }
  }

  /// Delivers an event to one member, if it is still there.
  public func deliver(_ event: Event, to number: MemberNumber) {
    guard let membership = directory[number] else { return }
    counters.events += 1
    send(event, to: membership)
  }

  /// Notifies a member, if it is still there, that its event did not reach everybody.
  package func undelivered(_ reason: Undelivered, from number: MemberNumber) {
    directory[number]?.member.undelivered(reason)
  }

  /// The address with which other processes reach the member.
  package func address(of membership: Membership) -> String {
    addresses.address(of: (membership.member.ownMembership ?? membership).number)
  }

  /// Renders an event for one member, after the frames of its group.
  private func send(_ event: Event, to membership: Membership) {
    let frames = buffers.take()
    defer { buffers.giveBack(frames) }
    let audience = membership.audience
    let named = event.named(audience.group, for: audience.renderer)
    let rendering = audience.renderer.render(named, for: receiver(membership), into: frames)
    switch rendering {
    case .ignored, .personal: counters.ignored += 1
    case .frames, .close:
      counters.renderings += 1
      write(frames, rendering, to: membership)
    }
  }

  /// What one member is told of a frame that is not for all of its audience.
  package func receiver(_ membership: Membership) -> EventReceiver {
    EventReceiver(address: address(of: membership), state: membership.member.viewStateText)
  }

  /// Sends one member what was rendered, after the frames of its group, and closes it if that was asked for.
  private func write(_ frames: SharedBytes, _ rendering: Rendering, to membership: Membership) {
    if frames.count > 0 {
      counters.writes += 1
      membership.member.catchUp()
      _ = membership.audience.catchUp(membership)
      if membership.member.deliver(frames, from: 0) == .queueOverLimit {
        return membership.member.fellBehind()
      }
    }
    if case .close(let code, let reason) = rendering { membership.member.close(code: code, reason: reason) }
  }

  /// Sends the member the frames of its group in this turn, before it is written to directly.
  package func catchUp(_ membership: Membership) -> Delivery {
    membership.audience.catchUp(membership)
  }

  private func markDirty(_ audience: Audience) {
    dirty.append(audience)
    guard !isScheduled else { return }
    isScheduled = true
    reactor.atEndOfTurn(self)
  }

  private func flush(_ audience: Audience) {
    // Counted separately, because a member that receives an order may end sessions, which read the counters.
    var writes: UInt64 = 0
    let behind = audience.flush(buffers: buffers, writes: &writes)
    counters.writes += writes
    for membership in behind { membership.member.fellBehind() }
    if let closing = audience.takeClosing() {
      for membership in closing.members {
        membership.member.close(code: closing.code, reason: closing.reason)
      }
    }
    reactor.relieve()
  }
}

extension LocalGroups: EndOfTurn {
  public func endOfTurn() {
    isScheduled = false
    let audiences = dirty
    dirty.removeAll(keepingCapacity: true)
    var writes = 0
    for (index, audience) in audiences.enumerated() {
      writes += audience.members.count
      flush(audience)
      guard writes >= Self.writesPerLook, index + 1 < audiences.count else { continue }
      writes = 0
      guard reactor.isEndOfTurnOver() else { continue }
      // These audiences keep their frames, and send them together with those of the next turn.
      dirty = Array(audiences[(index + 1)...]) + dirty
      guard !isScheduled else { return }
      isScheduled = true
      return reactor.atEndOfTurn(self)
    }
  }
}
