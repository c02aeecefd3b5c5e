import ChannelLayers
import LayerTestSupport
import Sessions
import Testing
import Transport

@testable import Gateway

struct PublisherTests {
  @Test func `the reactor of the request does its part at once, and nobody else hears of it`() async throws {
    try await PublishScene.serving { scene in
      scene.settle()
      let member = scene.join("room", on: 0)
      let results = scene.publish(["a", "b"])
      #expect(results.sessions == [1, 1])
      #expect(results.undelivered == [nil, nil])
      // Nothing was posted to the other one.
      #expect(!scene.turn(1))
      scene.settle()
      #expect(member.text == "a b ")
    }
  }

  @Test func `sessions of all reactors are counted, and only those with members are asked`() async throws {
    try await PublishScene.serving(reactors: 3) { scene in
      let members = [0, 1, 1].map { scene.join("room", on: $0) }
      scene.settle()
      let results = scene.publish(["a"])
      #expect(results.outcomes == nil)
      #expect(!scene.turn(2))
      scene.settle()
      #expect(results.sessions == [3])
      #expect(members.map(\.text) == ["a ", "a ", "a "])
    }
  }

  @Test func `a request that is sent after another one was answered does not overtake it anywhere`()
    async throws
  {
    try await PublishScene.serving { scene in
      let members = [0, 1].map { scene.join("room", on: $0) }
      scene.settle()
      let first = scene.publish(["a", "b"], from: 0)
      // The other reactor reads a request before its mail; the first one is not answered until it has delivered.
      #expect(first.outcomes == nil)
      scene.turn(1)
      scene.turn(0)
      #expect(first.sessions == [2, 2])
      scene.publish(["c"], from: 1)
      scene.settle()
      #expect(members.map(\.text) == ["a b c ", "a b c "])
    }
  }

  @Test func `a group with a history has one order, and its positions, from all reactors`() async throws {
    try await PublishScene.serving { scene in
      let members = [0, 1].map { scene.join("kept", on: $0) }
      scene.settle()
      let results = [0, 1, 0].map { scene.publish(["e\($0)"], to: "kept", from: $0) }
      scene.settle()
      #expect(results.map { $0.outcomes?[0].published.position?.offset } == [1, 2, 3])
      #expect(results.map(\.sessions) == [[2], [2], [2]])
      #expect(members.map(\.text) == ["e0 e1 e0 ", "e0 e1 e0 "])
    }
  }

  @Test func `many events go in parts, in their order, with other work between them`() async throws {
    try await PublishScene.serving { scene in
      let member = scene.join("room", on: 1)
      scene.settle()
      let results = scene.publish((0..<250).map { "e\($0)" })
      #expect(results.outcomes == nil)
      scene.turn(1)
      #expect(member.text.split(separator: " ").count == 100)
      scene.settle()
      #expect(results.sessions == Array(repeating: 1, count: 250))
      #expect(member.text.split(separator: " ") == (0..<250).map { "e\($0)" })
      // Also where nobody else is asked.
      let alone = scene.publish((0..<250).map { "e\($0)" }, to: "nobody")
      #expect(alone.outcomes == nil)
      scene.settle()
      #expect(alone.sessions == Array(repeating: 0, count: 250))
    }
  }

  @Test func `a reactor that does not answer in time is not waited for`() async throws {
    try await PublishScene.serving { scene in
      _ = scene.join("room", on: 0)
      let member = scene.join("room", on: 1)
      scene.settle()
      let results = scene.publish(["a"])
      scene.turn(0)
      scene.pass(.seconds(16), only: 0)
      #expect(results.sessions == [1])
      #expect(results.undelivered == [nil])
      // Its answer comes after all, and changes nothing.
      scene.settle()
      #expect(member.text == "a ")
      #expect(results.sessions == [1])
    }
  }

  @Test
  func `what a worker has no room for waits for a second, and is then refused as nothing that was sent`()
    async throws
  {
    try await PublishScene.serving(mail: 1000) { scene in
      let member = scene.join("room", on: 1)
      scene.settle()
      for _ in 0..<2 { scene.mailboxes[1].post(.abandon, weight: 1000) }
      // Several parts, which wait together no longer than one, and of which none is sent behind one that is not.
      let refused = scene.publish((0..<250).map { "e\($0)" })
      scene.pass(.milliseconds(900), only: 0)
      #expect(refused.outcomes == nil)
      scene.pass(.milliseconds(200), only: 0)
      #expect(refused.undelivered == Array(repeating: .backlog, count: 250))
      #expect(scene.refusedEvents == 250)
      let sent = scene.publish(["late"])
      scene.pass(.milliseconds(500), only: 0)
      #expect(sent.outcomes == nil)
      scene.settle()
      #expect(sent.undelivered == [nil])
      #expect(member.text == "late ")
    }
  }

  @Test func `a worker that stops while it is asked is not waited for`() async throws {
    try await PublishScene.serving(reactors: 1) { scene in
      var sessions: Int?
      try await PublishScene.serving(reactors: 1) { stopping in
        scene.publisher.connect(to: scene.mailboxes + stopping.mailboxes)
        let order = ControlOrder(.disconnect, SessionTarget(user: "5"))
        scene.publisher.carryOut(order, of: scene.layer, from: scene.workers[0]) { sessions = $0.sessions }
        scene.settle()
        #expect(sessions == nil)
      }
      scene.settle()
      #expect(sessions == 0)
    }
  }

  @Test func `places are given back with their last copy`() {
    let publisher = Publisher(memory: HTTPMemory(total: 1 << 20))
    var places: [Publisher.Place] = []
    while let place = publisher.enter(.anonymous) { places.append(place) }
    #expect(places.count == 256)
    #expect(publisher.enter(.token) != nil)
    places.removeLast()
    #expect(publisher.enter(.anonymous) != nil)
  }
}
