import JSON
import LayerTestSupport
import Testing

@testable import ChannelLayers
@testable import Transport

/// Events for some of a group.
struct EventRecipientsTests {
  private func groups(_ reactor: Reactor) -> LocalGroups {
    LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
  }

  @Test func `a session that is left out gets what came before and after, in one write each`() throws {
    try onReactor { reactor in
      let (groups, route) = (groups(reactor), TestRoute())
      let (sender, other) = (RecordingMember(), RecordingMember())
      let own = groups.join(sender, group: "room", route: route.id, renderer: TypeRenderer())
      _ = groups.join(other, group: "room", route: route.id, renderer: TypeRenderer())
      let except = EventRecipients(except: [groups.address(of: own)])
      groups.deliver(Event(type: "a"), to: "room")
      groups.deliver(Event(type: "b").addressed(to: except), to: "room")
      groups.deliver(Event(type: "c"), to: "room")
      groups.endOfTurn()
      #expect(sender.text == "ac")
      #expect(other.texts == ["abc"])
    }
  }

  @Test func `an address leads to the session, whichever group it was given out in`() throws {
    try onReactor { reactor in
      let (groups, route, second) = (groups(reactor), TestRoute(), TestRoute())
      let (sender, other) = (RecordingMember(), RecordingMember())
      let elsewhere = groups.join(sender, group: "lobby", route: route.id, renderer: TypeRenderer())
      _ = groups.join(sender, group: "room", route: second.id, renderer: TypeRenderer())
      _ = groups.join(other, group: "room", route: second.id, renderer: TypeRenderer())
      let except = EventRecipients(except: ["specific.other!x", groups.address(of: elsewhere)])
      groups.deliver(Event(type: "a").addressed(to: except), to: "room")
      groups.endOfTurn()
      #expect(sender.texts == [])
      #expect(other.texts == ["a"])
    }
  }

  @Test func `an event for one user reaches all sessions of the user, and nobody else`() throws {
    try onReactor { reactor in
      let (groups, route) = (groups(reactor), TestRoute())
      let members = ["ada", "bob", "ada", nil].map { RecordingMember(userName: $0) }
      for member in members {
        _ = groups.join(member, group: "room", route: route.id, renderer: TypeRenderer())
      }
      groups.deliver(Event(type: "a"), to: "room")
      groups.deliver(Event(type: "b").addressed(to: EventRecipients(user: "ada")), to: "room")
      groups.deliver(Event(type: "c"), to: "room")
      groups.endOfTurn()
      #expect(members.map(\.text) == ["abc", "ac", "abc", "ac"])
    }
  }

  @Test func `a close for some closes these only`() throws {
    try onReactor { reactor in
      let (groups, route) = (groups(reactor), TestRoute())
      let (sender, other) = (RecordingMember(), RecordingMember(userName: "ada"))
      let own = groups.join(sender, group: "room", route: route.id, renderer: TypeRenderer())
      let user = groups.join(other, group: "room", route: route.id, renderer: TypeRenderer())
      groups.deliver(
        Event(type: "close").addressed(to: EventRecipients(except: [groups.address(of: user)])), to: "room")
      groups.endOfTurn()
      #expect(sender.closedWith == 4000 && other.closedWith == nil)
      groups.leave(own)
      groups.deliver(Event(type: "close").addressed(to: EventRecipients(user: "ada")), to: "room")
      #expect(other.closedWith == 4000)
    }
  }

  @Test func `a burst that is sent before the turn ends does not reach who is left out`() throws {
    try onReactor { reactor in
      let (groups, route) = (groups(reactor), TestRoute())
      let (sender, other) = (RecordingMember(), RecordingMember())
      let own = groups.join(sender, group: "room", route: route.id, renderer: TypeRenderer())
      _ = groups.join(other, group: "room", route: route.id, renderer: TypeRenderer())
      let except = EventRecipients(except: [groups.address(of: own)])
      let long = String(repeating: "x", count: 300_000)
      groups.deliver(Event(type: long).addressed(to: except), to: "room")
      groups.endOfTurn()
      #expect(sender.texts == [])
      #expect(other.texts == [long])
    }
  }

  @Test func `recipients travel in the fields of an event, and add to each other`() {
    let event = Event(type: "a", fields: [.init("x", .json(.integer(1)))])
    #expect(event.addressed(to: EventRecipients.all) == event)
    #expect(!event.isAddressed)
    let once = event.addressed(to: EventRecipients(except: ["one"]))
    #expect(once["sluice.except"] == .json(.string("one")))
    let twice = once.addressed(to: EventRecipients(except: ["two"], user: "5"))
    #expect(twice.isAddressed)
    #expect(twice.recipients == EventRecipients(except: ["one", "two"], user: "5"))
    #expect(twice["x"] == .json(.integer(1)))
  }

  @Test(arguments: [
    (EventValue.text(Array("a".utf8)), ["a"]),
    (.json(.array([.string("a"), .integer(7), .null])), ["a", "7"]),
    (.encodedJSON(Array(#"["a", "b"]"#.utf8)), ["a", "b"]), (.encodedJSON(Array(#""a""#.utf8)), ["a"]),
    (.json(.null), []), (.json(.array([])), []),
  ])
  func `a list of addresses is read in every form`(value: EventValue, texts: [String]) throws {
    #expect(try value.addresses(most: 3) == texts)
  }

  @Test(arguments: [
    EventValue.bytes([97]), .json(true), .json(.double(1.5)), .json(["a": .integer(1)]), .json([.array([])]),
    .encodedJSON(Array(#"{"user": "ada"}"#.utf8)), .encodedJSON(Array("[".utf8)),
  ])
  func `an event that does not say for whom it is reaches nobody`(value: EventValue) {
    for mark in [Event.exceptMark, Event.userMark] {
      let event = Event(type: "a", fields: [.init(mark, value)])
      #expect(event.recipients.fault == .unreadable && !event.recipients.areAll, "\(mark)")
      #expect(event.addressed(to: EventRecipients(user: "ada")).recipients.fault == .unreadable)
    }
  }

  @Test func `an event for a user without a name reaches nobody, and one that leaves out nobody everybody`() {
    let nobody = Event(type: "a", fields: [.init(Event.userMark, .json(.null))])
    #expect(nobody.recipients.fault == .unreadable)
    let all = Event(type: "a", fields: [.init(Event.exceptMark, .json(.null))])
    #expect(all.recipients.areAll)
  }

  private static func list(_ count: Int) -> JSON {
    .array((0..<count).map { .string("specific.other!\($0)") })
  }

  @Test(arguments: [
    EventValue.json(list(101)), .encodedJSON(list(101).bytes), .encodedJSON(list(25_000).bytes),
  ])
  func `an event that leaves out too many reaches nobody, whoever else is left out beside them`(
    value: EventValue
  ) throws {
    let event = Event(type: "b", fields: [.init(Event.exceptMark, value)])
    #expect(event.isAddressed && event.recipients.fault == .tooMany && !event.recipients.areAll)
    try onReactor { reactor in
      let (groups, route, member) = (groups(reactor), TestRoute(), RecordingMember(userName: "ada"))
      let own = groups.join(member, group: "room", route: route.id, renderer: TypeRenderer())
      groups.deliver(Event(type: "a"), to: "room")
      for one in [
        event, event.addressed(to: EventRecipients(except: ["x"])),
        event.addressed(to: EventRecipients(user: "ada")),
      ] {
        groups.deliver(one, to: "room")
        #expect(!groups.isMeant(one, for: own, by: TypeRenderer()))
      }
      groups.endOfTurn()
      #expect(member.texts == ["a"])
      #expect(groups.counters.ignored == 3)
    }
  }

  @Test func `a hundred addresses are fine, and one more beside them is not`() {
    let event = Event(type: "b", fields: [.init(Event.exceptMark, .encodedJSON(Self.list(100).bytes))])
    #expect(event.recipients.except.count == 100 && event.recipients.fault == nil)
    #expect(event.addressed(to: EventRecipients(except: ["x"])).recipients.fault == .tooMany)
  }

  @Test func `a close that leaves many out closes the others`() throws {
    try onReactor { reactor in
      let (groups, route) = (groups(reactor), TestRoute())
      let members = (0..<120).map { _ in RecordingMember() }
      let places = members.map { groups.join($0, group: "room", route: route.id, renderer: TypeRenderer()) }
      let except = EventRecipients(except: places.prefix(100).map(groups.address))
      groups.deliver(Event(type: "close").addressed(to: except), to: "room")
      groups.endOfTurn()
      #expect(members.map { $0.closedWith != nil } == (0..<120).map { $0 >= 100 })
    }
  }
}
