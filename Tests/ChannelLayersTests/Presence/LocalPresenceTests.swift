import JSON
import Testing

@testable import ChannelLayers
@testable import Transport

/// Renders what presence tells as its text.
private struct PresenceRenderer: EventRenderer {
  func render(_ event: Event, for address: String?, into frames: SharedBytes) -> Rendering {
    guard case .encodedJSON(let text)? = event[Event.presenceField] else { return .ignored }
    unsafe frames.append(text.span.bytes)
    return .frames
  }
}

/// Records what it is sent.
private final class Member: GroupMember {
  var got = ""
  func deliver(_ frames: SharedBytes, from offset: Int) -> Delivery {
    got += unsafe frames.withBytes(from: offset) { unsafe String(decoding: $0, as: UTF8.self) }
    return .delivered
  }
  func fellBehind() {}
  func close(code: UInt16, reason: String) {}
  func undelivered(_ reason: Undelivered) {}
}

private final class Route {}

/// Two members on one reactor; what is to be told arrives when the mailbox is emptied.
private final class Room {
  let table = PresenceTable()
  let groups: LocalGroups
  let presence: LocalPresence
  let route = Route()
  let reactor: Reactor

  init(_ reactor: Reactor) {
    self.reactor = reactor
    groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
    presence = LocalPresence(reactor: reactor, number: 0, table: table, groups: groups)
  }

  func join(_ member: Member, _ user: String?) -> PresentMember {
    presence.join(
      member, group: "room", route: ObjectIdentifier(route), renderer: PresenceRenderer(), user: user)
  }

  func announce(after seconds: Int = 0) {
    for news in table.announcements(at: .now + .seconds(seconds)).values.joined() { presence.take(news) }
    groups.endOfTurn()
  }
}

private func inRoom(_ body: @escaping @Sendable (Room) -> Void) throws {
  let (thread, _) = try Reactor.start(name: "test") { body(Room($0)) }
  thread.stop()
  thread.join()
}

struct LocalPresenceTests {
  @Test func `the list comes first, and then what changes`() throws {
    try inRoom { room in
      let (alice, bob) = (Member(), Member())
      let one = room.join(alice, "alice")
      room.announce()
      #expect(alice.got == #"{"users": ["alice"], "anonymous": 0, "count": 1}"#)
      alice.got = ""
      let other = room.join(bob, "bob")
      room.announce()
      #expect(bob.got == #"{"users": ["alice", "bob"], "anonymous": 0, "count": 2}"#)
      #expect(alice.got == #"{"joined": "bob", "count": 2}"#)
      alice.got = ""
      other.leave()
      room.announce()
      #expect(alice.got == "")
      room.announce(after: 3)
      #expect(alice.got == #"{"left": "bob", "count": 1}"#)
      one.leave()
      room.announce(after: 6)
      #expect(room.groups.groupCount == 0)
    }
  }

  @Test func `who asks is answered once for all times it asked`() throws {
    try inRoom { room in
      let (alice, other) = (Member(), Member())
      let (one, two) = (room.join(alice, "alice"), room.join(other, nil))
      room.announce()
      (alice.got, other.got) = ("", "")
      for _ in 0..<100 { one.askForList() }
      room.announce()
      #expect(alice.got == #"{"users": ["alice"], "anonymous": 1, "count": 2}"#)
      #expect(other.got == "")
      one.leave()
      two.leave()
    }
  }

  @Test func `who leaves before the list came is not told it, and nothing is kept`() throws {
    try inRoom { room in
      let (alice, bob) = (Member(), Member())
      room.join(alice, "alice").leave()
      #expect(!room.presence.isWaitedFor)
      room.announce()
      let one = room.join(alice, "alice")
      let other = room.join(bob, "bob")
      other.leave()
      room.announce()
      #expect(bob.got == "")
      #expect(alice.got.hasPrefix(#"{"users": ["alice", "bob"]"#))
      #expect(!room.presence.isWaitedFor)
      one.leave()
    }
  }
}
