import Bytes
import ChannelLayers
import Consumers
import Glibc
import JSON
import LayerTestSupport
import Testing
import WebSocketCore

@testable import Sessions
@testable import Transport

struct ViewLinkTests {
  /// The link is held by nobody here afterwards.
  private func leave(_ scene: LinkScene, asking texts: String...) throws -> () -> ViewLink? {
    let (session, link, _) = try scene.open()
    for text in texts { scene.say(text, to: link) }
    session.abandon()
    scene.settle()
    return { [weak link] in link }
  }

  @Test
  func `a session that has ended is kept while its view takes nothing, until the view was told of it all`()
    async throws
  {
    try await LinkScene.run { scene in
      let link = try leave(scene, asking: "x")
      #expect(scene.asker.isAsking)
      scene.asker.answer(taken: 0)
      scene.settle()
      #expect(!scene.asker.isAsking && link() != nil && scene.worker.endedViews.links.count == 1)
      scene.pass(.seconds(1))
      #expect(scene.asker.isAsking && scene.asker.asked.count == 3)
      scene.asker.answer()
      #expect(link() == nil && scene.worker.endedViews.isEmpty)
      #expect(scene.process.views.presence(on: scene.route).addresses == [])
    }
  }

  @Test func `while clients of views are not read, the answer to a close frame is`() async throws {
    try await LinkScene.run { scene in
      let (closing, _, peer) = try scene.open()
      let (open, link, other) = try scene.open()
      closing.close(.slowReader)
      scene.settle()
      scene.worker.holdViews(true)
      for client in [peer, other] {
        let answer: [UInt8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8]
        #expect(unsafe send(client, answer, answer.count, 0) == answer.count)
      }
      scene.settle()
      #expect(closing.state == .ended && open.state == .open && link.isHoldingBack)
      scene.worker.holdViews(false)
      scene.settle()
      #expect(open.state == .ended)
    }
  }

  @Test func `a session that has ended gives up what it waits with where there is no memory for it`()
    async throws
  {
    try await LinkScene.run { scene in
      let link = try leave(scene, asking: "x")
      scene.asker.answer(taken: 0)
      link()?.giveUpInput()
      #expect(link() == nil && scene.worker.endedViews.isEmpty)
      scene.pass(.seconds(60))
      #expect(scene.asker.asked.count == 2)
    }
  }

  @Test func `a session is asked about for 30 seconds after its end, and then its end is told`() async throws
  {
    try await LinkScene.run { scene in
      let link = try leave(scene, asking: "x", "y", "z")
      for _ in 0..<29 { scene.pass(.seconds(1)) }
      #expect(scene.asker.asked.count == 2 && link()?.isDropping == false)
      for _ in 0..<2 { scene.pass(.seconds(1)) }
      #expect(link()?.isDropping == true)
      #expect(scene.lines.all.contains { $0.contains("were dropped") })
      scene.asker.answer()
      #expect(link() == nil && scene.worker.endedViews.isEmpty && scene.asker.asked.count == 2)
    }
  }

  @Test func `towards the end of a stop nothing is asked that waits, also of sessions that end later`()
    async throws
  {
    try await LinkScene.run { scene in
      let early = try leave(scene, asking: "x", "y")
      scene.worker.askEndsOnly(after: .seconds(3))
      scene.pass(.seconds(2))
      #expect(early()?.isDropping == false)
      scene.pass(.seconds(2))
      #expect(early()?.isDropping == true)
      scene.asker.answer()
      let late = try leave(scene, asking: "x", "y")
      scene.settle()
      scene.asker.answer()
      #expect(early() == nil)
      #expect(late() == nil)
      #expect(scene.asker.asked.count == 4)
    }
  }

  @Test func `a quiet session keeps nothing of what it had to do`() async throws {
    try await LinkScene.run { scene in
      let (session, link, _) = try scene.open()
      #expect(link.activity == nil && session.feed.extras == nil)
      scene.say(to: link)
      #expect(link.activity != nil)
      scene.asker.answer(taken: 0)
      #expect(link.activity?.pause != nil)
      scene.pass(.seconds(1))
      #expect(link.activity?.pause == nil && scene.asker.isAsking)
      scene.asker.answer()
      #expect(link.activity == nil)
    }
  }

  @Test func `a session that was in no other group leaves the one of its route`() async throws {
    try await LinkScene.run { scene in
      let (session, link, _) = try scene.open()
      scene.say(to: link)
      scene.asker.answer([.leave("room")])
      #expect(session.groupNames == [] && session.address == link.record.address)
      scene.say(to: link)
      #expect(scene.asker.asked.last?.session?.groups == [])
    }
  }

  @Test func `what has not changed is not written`() async throws {
    try await LinkScene.run { scene in
      let (_, link, _) = try scene.open()
      let writes = { scene.backend.noted.steps.count }
      #expect(writes() == 1)
      for (state, count) in [("1", 2), ("1", 2), ("2", 3), (nil, 3), ("null", 4), ("null", 4)] {
        scene.say(to: link)
        scene.asker.answer(state: state)
        #expect(writes() == count, "\(state ?? "none")")
      }
      scene.say(to: link)
      scene.asker.answer([.join("room_1")])
      #expect(writes() == 5)
      scene.say(to: link)
      scene.asker.answer([.join("room_1")])
      #expect(writes() == 5)
      #expect(scene.asker.asked.last?.session?.groups == ["room", "room_1"])
    }
  }

  @Test func `a view is told of a session again with what its client has offered, and cannot end it`()
    async throws
  {
    try await LinkScene.run { scene in
      let (session, link, _) = try scene.open(offering: ["chat"])
      link.connectAgain()
      let details = ViewQuestion.ConnectDetails(subprotocols: ["chat"])
      #expect(scene.asker.asked.last?.event == .connect(details, isAgain: true))
      scene.asker.answer(.refused(HandshakeRefusal(.forbiddenByCallback)))
      #expect(session.state == .open)
      #expect(scene.lines.all.contains { $0.contains("a view refuses a session that is open") })
    }
  }

  @Test func `a view is told who the client is now`() async throws {
    try await LinkScene.run { scene in
      let (session, link, _) = try scene.open()
      let extras = session.feed.makeExtras()
      extras.identity = Identity(user: "5", claims: ["role": "admin"])
      session.identityChanged()
      #expect(scene.backend.noted.steps.count == 2)
      session.identityChanged()
      #expect(scene.backend.noted.steps.count == 2)
      scene.say(to: link)
      #expect(scene.asker.asked.last?.session?.user == "5")
      #expect(scene.asker.asked.last?.session?.claims == ["role": "admin"])
    }
  }

  @Test func `a join that fails has a line, and the rest is done`() async throws {
    try await LinkScene.run { scene in
      let (_, link, peer) = try scene.open()
      let subject = StandingOrder.Subject(.disconnect, user: nil, group: "room_1")
      scene.process.orders.add(
        StandingOrder(subject, until: WallClock.secondsSinceEpoch + 60, reason: "be nice"))
      scene.say(to: link)
      scene.asker.answer([.join("room_1"), .send(.text, Array("done".utf8))])
      #expect(scene.heard(peer).contains("done"))
      #expect(scene.lines.all.contains { $0.contains("an action of a view's answer was not carried out") })
    }
  }

  @Test func `a session gets what was published before it leaves, once, also where a join is between`()
    async throws
  {
    try await LinkScene.run { scene in
      let (_, link, peer) = try scene.open()
      let (_, _, other) = try scene.open()
      scene.say(to: link)
      let event = Event(type: "chat.message", fields: [.init("message", .text(Array("hello".utf8)))])
      scene.asker.answer([
        .publish(.init(group: "room", event: event)), .join("room_1"), .leave("room"),
        .publish(.init(group: "room", event: event)),
      ])
      #expect(scene.heard(peer).split(separator: "hello", omittingEmptySubsequences: false).count == 2)
      #expect(scene.heard(other).split(separator: "hello", omittingEmptySubsequences: false).count == 3)
    }
  }

  @Test func `after a reload open sessions are asked about as it says, and those that have ended too`()
    async throws
  {
    try await LinkScene.run { scene in
      let (_, link, _) = try scene.open()
      let ended = try leave(scene, asking: "x")
      let old = scene.route
      scene.process.serve(scene.process.routes(of: try LinkScene.configuration(", timeout: 7s, batch: 3")))
      scene.worker.serveAnew()
      scene.settle()
      #expect(scene.route !== old && link.route === scene.route)
      #expect(link.asker === scene.worker.viewAsker(of: scene.route))
      #expect(ended()?.asker === link.asker)
    }
  }

  @Test func `who asks a view that is not served any more stays while a session asks through it`()
    async throws
  {
    try await LinkScene.run { scene in
      var held: (any ViewAsker)? = scene.worker.viewAsker(of: scene.route)
      scene.process.serve(scene.process.routes(of: try LinkScene.configuration(", timeout: 7s")))
      scene.worker.serveAnew()
      _ = scene.worker.viewAsker(of: scene.route)
      #expect(scene.worker.askers.count == 2 && held != nil)
      held = nil
      scene.worker.retireAskers()
      #expect(scene.worker.askers.count == 1)
    }
  }
}
