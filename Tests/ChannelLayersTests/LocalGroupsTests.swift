import Bytes
import LayerTestSupport
import Testing

@testable import ChannelLayers
@testable import Transport

struct LocalGroupsTests {
  /// What the process that takes the place of this one's knows of its addresses.
  private func handed(_ cipher: AddressCipher) throws -> AddressCipher {
    var state = LayerState(alias: "default")
    cipher.add(to: &state)
    var writer = RecordWriter()
    state.write(to: &writer)
    return AddressCipher(resuming: try RecordReader.read(writer.bytes[...], as: LayerState.self))
  }

  @Test func `members of two reactors that meet on one keep their addresses, and nobody else gets them`()
    throws
  {
    try onReactor { reactor in
      let (route, renderer) = (TestRoute(), TypeRenderer())
      func groups(_ number: Int, _ cipher: AddressCipher) -> LocalGroups {
        LocalGroups(
          reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: number, cipher: cipher))
      }
      func join(_ groups: LocalGroups, as number: MemberNumber? = nil) -> Membership {
        groups.join(RecordingMember(), group: "room", route: route.id, renderer: renderer, number: number)
      }
      let first = AddressCipher()
      let old = (groups(0, first), groups(1, first))
      let was = (join(old.0), join(old.1))
      #expect(was.0.number.slot == was.1.number.slot && was.0.number.serial == was.1.number.serial)
      let addresses = [old.0.address(of: was.0), old.1.address(of: was.1)]

      let second = try handed(first)
      let one = groups(0, second)
      one.reserve([was.1.number], lastSerial: old.1.lastSerial, of: 1)
      one.reserve([was.0.number], lastSerial: old.0.lastSerial, of: 0)
      let taken = [join(one, as: was.0.number), join(one, as: was.1.number)]
      #expect(taken.map(one.address) == addresses)
      #expect(zip(addresses, taken).allSatisfy { one.member(at: $0) === $1.member })
      #expect(second.moved.reactors(of: taken[1].number) == [0])
      #expect(second.moved.reactors(of: taken[0].number) == [])
      #expect(!addresses.contains(one.address(of: join(one))))

      // There are two again: what the second one gives away now is new, too.
      let again = groups(1, try handed(second))
      #expect(!addresses.contains(again.address(of: join(again))))
      one.leave(taken[1])
      #expect(one.member(at: addresses[1]) == nil && one.member(at: addresses[0]) != nil)
    }
  }

  @Test func `a close is for those who were there when it came`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let route = TestRoute()
      let early = RecordingMember()
      let late = RecordingMember()
      let first = groups.join(
        early, group: "room", route: route.id, renderer: TypeRenderer())
      groups.deliver(Event(type: "close"), to: "room")
      let second = groups.join(late, group: "room", route: route.id, renderer: TypeRenderer())
      groups.endOfTurn()
      #expect(early.closedWith == 4000)
      #expect(late.closedWith == nil)
      groups.deliver(Event(type: "a"), to: "room")
      groups.endOfTurn()
      #expect(late.texts == ["a"])
      for membership in [first, second] { groups.leave(membership) }
    }
  }

  @Test func `what comes behind a close is for those who have joined behind it`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let (route, other) = (TestRoute(), TestRoute())
      let (late, mover) = (RecordingMember(), RecordingMember())
      _ = groups.join(RecordingMember(), group: "room", route: route.id, renderer: TypeRenderer())
      let moving = groups.join(
        mover, group: "room", route: other.id, renderer: DeafRenderer())
      groups.deliver(Event(type: "close"), to: "room")
      _ = groups.join(late, group: "room", route: route.id, renderer: TypeRenderer())
      groups.move(moving, route: route.id, renderer: TypeRenderer())
      groups.deliver(Event(type: "a"), to: "room")
      groups.endOfTurn()
      #expect(late.texts == ["a"] && late.closedWith == nil)
      #expect(mover.texts == ["a"] && mover.closedWith == nil)
    }
  }

  @Test func `an event is rendered once and written once to each of a thousand members`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let route = TestRoute()
      let members = (0..<1000).map { _ in RecordingMember() }
      let memberships = members.map {
        groups.join($0, group: "room", route: route.id, renderer: TypeRenderer())
      }
      groups.deliver(Event(type: "a"), to: "room")
      groups.endOfTurn()
      #expect(groups.counters == .init(events: 1, renderings: 1, writes: 1000, ignored: 0))
      #expect(members.allSatisfy { $0.texts == ["a"] })
      for membership in memberships { groups.leave(membership) }
      #expect(groups.groupCount == 0)
    }
  }

  @Test func `the events of one turn leave in one write, in order`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let (route, member) = (TestRoute(), RecordingMember())
      _ = groups.join(member, group: "room", route: route.id, renderer: TypeRenderer())
      for type in ["a", "b", "c"] { groups.deliver(Event(type: type), to: "room") }
      #expect(member.texts == [])
      groups.endOfTurn()
      #expect(member.texts == ["abc"])
      groups.deliver(Event(type: "d"), to: "room")
      groups.endOfTurn()
      #expect(member.texts == ["abc", "d"])
    }
  }

  @Test func `who joins in the middle of a turn gets only what comes after`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let (route, first, second) = (TestRoute(), RecordingMember(), RecordingMember())
      _ = groups.join(first, group: "room", route: route.id, renderer: TypeRenderer())
      groups.deliver(Event(type: "a"), to: "room")
      _ = groups.join(second, group: "room", route: route.id, renderer: TypeRenderer())
      groups.deliver(Event(type: "b"), to: "room")
      groups.endOfTurn()
      #expect(first.texts == ["ab"])
      #expect(second.texts == ["b"])
    }
  }

  @Test func `a member catches up before it is written to directly`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let (route, member) = (TestRoute(), RecordingMember())
      let membership = groups.join(
        member, group: "room", route: route.id, renderer: TypeRenderer())
      groups.deliver(Event(type: "a"), to: "room")
      #expect(groups.catchUp(membership) == .delivered)
      groups.deliver(Event(type: "b"), to: "room")
      groups.endOfTurn()
      #expect(member.texts == ["a", "b"])
    }
  }

  @Test func `a member that cannot keep up is told, and the others notice nothing`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let (route, slow, good) = (TestRoute(), RecordingMember(), RecordingMember())
      slow.isFull = true
      for member in [slow, good] {
        _ = groups.join(member, group: "room", route: route.id, renderer: TypeRenderer())
      }
      groups.deliver(Event(type: "a"), to: "room")
      groups.endOfTurn()
      #expect(slow.isBehind)
      #expect(!good.isBehind)
      #expect(good.texts == ["a"])
    }
  }

  @Test func `an event can close the members of a group behind what came before`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let (route, member) = (TestRoute(), RecordingMember())
      _ = groups.join(member, group: "room", route: route.id, renderer: TypeRenderer())
      for type in ["a", "close", "b"] { groups.deliver(Event(type: type), to: "room") }
      groups.endOfTurn()
      #expect(member.texts == ["a"])
      #expect(member.closedWith == 4000)
    }
  }

  @Test func `an event that no route understands is counted and closes nothing`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let (route, member) = (TestRoute(), RecordingMember())
      _ = groups.join(member, group: "room", route: route.id, renderer: TypeRenderer())
      groups.deliver(Event(type: "unknown"), to: "room")
      groups.deliver(Event(type: "a"), to: "elsewhere")
      groups.endOfTurn()
      #expect(groups.counters == .init(events: 1, renderings: 0, writes: 0, ignored: 1))
      #expect(member.texts == [])
    }
  }

  @Test func `two routes of one group see it each in its form`() throws {
    try onReactor { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let routes = [TestRoute(), TestRoute()]
      let members = [RecordingMember(), RecordingMember()]
      for (route, member) in zip(routes, members) {
        _ = groups.join(member, group: "room", route: route.id, renderer: TypeRenderer())
      }
      groups.deliver(Event(type: "a"), to: "room")
      groups.endOfTurn()
      #expect(groups.counters.renderings == 2)
      #expect(members.allSatisfy { $0.texts == ["a"] })
    }
  }
}
