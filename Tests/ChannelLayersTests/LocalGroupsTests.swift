import Testing

@testable import ChannelLayers
@testable import Transport

extension SharedBytes {
  fileprivate func text(from offset: Int) -> String {
    unsafe withBytes(from: offset) { unsafe String(decoding: $0, as: UTF8.self) }
  }
}

/// Renders an event as its type.
private struct TypeRenderer: EventRenderer {
  func render(_ event: Event, for address: String?, into frames: SharedBytes) -> Rendering {
    if event.type == "close" { return .close(code: 4000, reason: "over") }
    if event.type == "unknown" { return .ignored }
    unsafe frames.append(Array(event.type.utf8).span.bytes)
    return .frames
  }
}

/// Understands nothing.
private struct DeafRenderer: EventRenderer {
  func render(_ event: Event, for address: String?, into frames: SharedBytes) -> Rendering { .ignored }
}

/// Records what it is sent.
private final class Member: GroupMember {
  var got: [String] = []
  var isFull = false
  var isBehind = false
  var closedWith: UInt16?

  func deliver(_ frames: SharedBytes, from offset: Int) -> Delivery {
    got.append(frames.text(from: offset))
    return isFull ? .queueOverLimit : .delivered
  }

  func fellBehind() { isBehind = true }
  func close(code: UInt16, reason: String) { closedWith = code }
  func undelivered(_ reason: Undelivered) {}
}

/// Routes are told apart by an object.
private final class Route {}

/// Runs the body on a reactor's thread, which is where groups live.
private func onReactor(_ body: @escaping @Sendable (Reactor) -> Void) throws {
  let (thread, _) = try Reactor.start(name: "test") { body($0) }
  thread.stop()
  thread.join()
}

struct LocalGroupsTests {
  @Test func `a close is for those who were there when it came`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let route = Route()
      let early = Member()
      let late = Member()
      let first = groups.join(
        early, group: "room", route: ObjectIdentifier(route), renderer: TypeRenderer())
      groups.deliver(Event(type: "close"), to: "room")
      let second = groups.join(late, group: "room", route: ObjectIdentifier(route), renderer: TypeRenderer())
      groups.endOfTurn()
      #expect(early.closedWith == 4000)
      #expect(late.closedWith == nil)
      groups.deliver(Event(type: "a"), to: "room")
      groups.endOfTurn()
      #expect(late.got == ["a"])
      for membership in [first, second] { groups.leave(membership) }
    }
  }

  @Test func `what comes behind a close is for those who have joined behind it`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let (route, other) = (Route(), Route())
      let (late, mover) = (Member(), Member())
      _ = groups.join(Member(), group: "room", route: ObjectIdentifier(route), renderer: TypeRenderer())
      let moving = groups.join(
        mover, group: "room", route: ObjectIdentifier(other), renderer: DeafRenderer())
      groups.deliver(Event(type: "close"), to: "room")
      _ = groups.join(late, group: "room", route: ObjectIdentifier(route), renderer: TypeRenderer())
      groups.move(moving, route: ObjectIdentifier(route), renderer: TypeRenderer())
      groups.deliver(Event(type: "a"), to: "room")
      groups.endOfTurn()
      #expect(late.got == ["a"] && late.closedWith == nil)
      #expect(mover.got == ["a"] && mover.closedWith == nil)
    }
  }

  @Test func `an event is rendered once and written once to each of a thousand members`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let route = Route()
      let members = (0..<1000).map { _ in Member() }
      let memberships = members.map {
        groups.join($0, group: "room", route: ObjectIdentifier(route), renderer: TypeRenderer())
      }
      groups.deliver(Event(type: "a"), to: "room")
      groups.endOfTurn()
      #expect(groups.counters == .init(events: 1, renderings: 1, writes: 1000, ignored: 0))
      #expect(members.allSatisfy { $0.got == ["a"] })
      for membership in memberships { groups.leave(membership) }
      #expect(groups.groupCount == 0)
    }
  }

  @Test func `the events of one turn leave in one write, in order`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let (route, member) = (Route(), Member())
      _ = groups.join(member, group: "room", route: ObjectIdentifier(route), renderer: TypeRenderer())
      for type in ["a", "b", "c"] { groups.deliver(Event(type: type), to: "room") }
      #expect(member.got == [])
      groups.endOfTurn()
      #expect(member.got == ["abc"])
      groups.deliver(Event(type: "d"), to: "room")
      groups.endOfTurn()
      #expect(member.got == ["abc", "d"])
    }
  }

  @Test func `who joins in the middle of a turn gets only what comes after`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let (route, first, second) = (Route(), Member(), Member())
      _ = groups.join(first, group: "room", route: ObjectIdentifier(route), renderer: TypeRenderer())
      groups.deliver(Event(type: "a"), to: "room")
      _ = groups.join(second, group: "room", route: ObjectIdentifier(route), renderer: TypeRenderer())
      groups.deliver(Event(type: "b"), to: "room")
      groups.endOfTurn()
      #expect(first.got == ["ab"])
      #expect(second.got == ["b"])
    }
  }

  @Test func `a member catches up before it is written to directly`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let (route, member) = (Route(), Member())
      let membership = groups.join(
        member, group: "room", route: ObjectIdentifier(route), renderer: TypeRenderer())
      groups.deliver(Event(type: "a"), to: "room")
      #expect(groups.catchUp(membership) == .delivered)
      groups.deliver(Event(type: "b"), to: "room")
      groups.endOfTurn()
      #expect(member.got == ["a", "b"])
    }
  }

  @Test func `a member that cannot keep up is told, and the others notice nothing`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let (route, slow, good) = (Route(), Member(), Member())
      slow.isFull = true
      for member in [slow, good] {
        _ = groups.join(member, group: "room", route: ObjectIdentifier(route), renderer: TypeRenderer())
      }
      groups.deliver(Event(type: "a"), to: "room")
      groups.endOfTurn()
      #expect(slow.isBehind)
      #expect(!good.isBehind)
      #expect(good.got == ["a"])
    }
  }

  @Test func `an event can close the members of a group behind what came before`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let (route, member) = (Route(), Member())
      _ = groups.join(member, group: "room", route: ObjectIdentifier(route), renderer: TypeRenderer())
      for type in ["a", "close", "b"] { groups.deliver(Event(type: type), to: "room") }
      groups.endOfTurn()
      #expect(member.got == ["a"])
      #expect(member.closedWith == 4000)
    }
  }

  @Test func `an event that no route understands is counted and closes nothing`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let (route, member) = (Route(), Member())
      _ = groups.join(member, group: "room", route: ObjectIdentifier(route), renderer: TypeRenderer())
      groups.deliver(Event(type: "unknown"), to: "room")
      groups.deliver(Event(type: "a"), to: "elsewhere")
      groups.endOfTurn()
      #expect(groups.counters == .init(events: 1, renderings: 0, writes: 0, ignored: 1))
      #expect(member.got == [])
    }
  }

  @Test func `two routes of one group see it each in its form`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let routes = [Route(), Route()]
      let members = [Member(), Member()]
      for (route, member) in zip(routes, members) {
        _ = groups.join(member, group: "room", route: ObjectIdentifier(route), renderer: TypeRenderer())
      }
      groups.deliver(Event(type: "a"), to: "room")
      groups.endOfTurn()
      #expect(groups.counters.renderings == 2)
      #expect(members.allSatisfy { $0.got == ["a"] })
    }
  }
}
