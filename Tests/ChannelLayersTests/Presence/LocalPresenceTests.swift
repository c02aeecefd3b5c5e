import JSON
import LayerTestSupport
import Testing

@testable import ChannelLayers
@testable import Transport

/// Renders what presence tells as its text.
private struct PresenceRenderer: EventRenderer {
  func render(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes) -> Rendering {
    guard case .encodedJSON(let text)? = event[Event.presenceField] else { return .ignored }
    unsafe frames.append(text.span.bytes)
    return .frames
  }
}

/// Two members on one reactor; what is to be told arrives when the mailbox is emptied.
private final class Room {
  let table = PresenceTable()
  let groups: LocalGroups
  let presence: LocalPresence
  let route = TestRoute()
  let reactor: Reactor

  init(_ reactor: Reactor) {
    self.reactor = reactor
    groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
    presence = LocalPresence(reactor: reactor, number: 0, table: table, groups: groups)
  }

  func join(_ member: RecordingMember, _ user: String?) -> PresentMember {
    presence.join(
      member, group: "room", route: route.id, renderer: PresenceRenderer(), user: user)
  }

  func announce(after seconds: Int = 0) {
    for news in table.announcements(at: .now + .seconds(seconds)).values.joined() { presence.take(news) }
    groups.endOfTurn()
  }
}

private func inRoom(_ body: @escaping @Sendable (Room) -> Void) throws {
  try onReactor { body(Room($0)) }
}

struct LocalPresenceTests {
  @Test func `the list comes first, and then what changes`() throws {
    try inRoom { room in
      let (alice, bob) = (RecordingMember(), RecordingMember())
      let one = room.join(alice, "alice")
      room.announce()
      #expect(alice.text == #"{"users": ["alice"], "anonymous": 0, "count": 1}"#)
      alice.forgetDeliveries()
      let other = room.join(bob, "bob")
      room.announce()
      #expect(bob.text == #"{"users": ["alice", "bob"], "anonymous": 0, "count": 2}"#)
      #expect(alice.text == #"{"joined": "bob", "count": 2}"#)
      alice.forgetDeliveries()
      other.leave()
      room.announce()
      #expect(alice.text == "")
      room.announce(after: 3)
      #expect(alice.text == #"{"left": "bob", "count": 1}"#)
      one.leave()
      room.announce(after: 6)
      #expect(room.groups.groupCount == 0)
    }
  }

  @Test func `who asks is answered once for all times it asked`() throws {
    try inRoom { room in
      let (alice, other) = (RecordingMember(), RecordingMember())
      let (one, two) = (room.join(alice, "alice"), room.join(other, nil))
      room.announce()
      alice.forgetDeliveries()
      other.forgetDeliveries()
      for _ in 0..<100 { one.askForList() }
      room.announce()
      #expect(alice.text == #"{"users": ["alice"], "anonymous": 1, "count": 2}"#)
      #expect(other.text == "")
      one.leave()
      two.leave()
    }
  }

  @Test func `who leaves before the list came is not told it, and nothing is kept`() throws {
    try inRoom { room in
      let (alice, bob) = (RecordingMember(), RecordingMember())
      room.join(alice, "alice").leave()
      #expect(!room.presence.isWaitedFor)
      room.announce()
      let one = room.join(alice, "alice")
      let other = room.join(bob, "bob")
      other.leave()
      room.announce()
      #expect(bob.text == "")
      #expect(alice.text.hasPrefix(#"{"users": ["alice", "bob"]"#))
      #expect(!room.presence.isWaitedFor)
      one.leave()
    }
  }
}
