import ChannelLayers
import LayerTestSupport
import Testing
import Transport

@testable import Gateway
@testable import Sessions

/// A part ends after 2 ms, when 32 slow sessions have had their turn. The next one begins 8 ms later, or a little more.
struct OrdersInPartsTests {
  @Test(arguments: [
    (SessionAction.judgeMutes(in: "room"), SessionTarget(group: "room")),
    (.mute(until: .now + .seconds(9), in: "room"), SessionTarget(user: "5", group: "room")),
    (.join(["other"]), SessionTarget(user: "5")),
    (.leave(["other"]), SessionTarget(group: "room")),
    (.disconnect(reason: ""), SessionTarget(user: "5", group: "room")),
  ])
  func `an order looks at no more sessions in one turn than it has time for`(
    _ action: SessionAction, _ target: SessionTarget
  ) async throws {
    try await PublishScene.serving(reactors: 1) { scene in
      let sessions = scene.sessions(100, of: "5", on: 0)
      for session in sessions[90...] { session.isWilling = false }
      scene.settle()
      var told: [SessionsTold] = []
      scene.workers[0].carryOut(action, on: target, of: scene.layer) { told.append($0) }
      scene.settle()
      #expect(told == [])
      scene.pass { !told.isEmpty }
      #expect(told == [SessionsTold(sessions: 90, refused: 10)])
      #expect(sessions.allSatisfy { $0.looked.count == 1 })
      #expect(sessions.map { $0.told.count } == sessions.map { $0.isWilling ? 1 : 0 })
      let parts = Dictionary(grouping: sessions.flatMap(\.looked)) { $0 }
      #expect(parts.sorted { $0.key < $1.key }.map(\.value.count) == [32, 32, 32, 4])
    }
  }

  @Test
  func `sessions that have ended, or are not meant any more, when they have their turn are passed over`()
    async throws
  {
    try await PublishScene.serving(reactors: 1) { scene in
      let sessions = scene.sessions(60, of: "5", on: 0)
      var told: SessionsTold?
      scene.workers[0].carryOut(
        .judgeMutes(in: nil), on: SessionTarget(user: "5", group: "room"), of: scene.layer
      ) { told = $0 }
      let waiting = sessions.filter(\.looked.isEmpty)
      #expect(waiting.count >= 28)
      for session in waiting[..<10] { session.isOpen = false }
      for session in waiting[10..<15] { session.groups = [] }
      scene.pass { told != nil }
      #expect(told == SessionsTold(sessions: 45))
    }
  }

  @Test func `who leaves the group after the order has come does not get away`() async throws {
    try await PublishScene.serving(reactors: 1) { scene in
      let sessions = scene.sessions(40, on: 0)
      var told: SessionsTold?
      scene.workers[0].carryOut(.disconnect(reason: ""), on: SessionTarget(group: "room"), of: scene.layer) {
        told = $0
      }
      for session in sessions { session.groups = [] }
      let late = scene.sessions(1, on: 0)[0]
      scene.pass { told != nil }
      #expect(told == SessionsTold(sessions: 40))
      #expect(sessions.allSatisfy { $0.told.count == 1 })
      // It came after the order.
      #expect(late.looked == [])
    }
  }

  @Test func `orders are carried out one after the other, and each is answered at its end`() async throws {
    try await PublishScene.serving(reactors: 1) { scene in
      _ = scene.sessions(40, on: 0)
      _ = scene.sessions(3, of: "6", in: "other", on: 0)
      var told: [Int] = []
      for target in [SessionTarget(group: "room"), SessionTarget(user: "6"), SessionTarget(user: "nobody")] {
        scene.workers[0].carryOut(.judgeMutes(in: nil), on: target, of: scene.layer) {
          told.append($0.sessions)
        }
      }
      #expect(told == [0])
      scene.pass { told.count == 3 }
      #expect(told == [0, 40, 3])
    }
  }

  @Test func `a request is answered when the sessions of all reactors have had their turn`() async throws {
    try await PublishScene.serving { scene in
      _ = (scene.sessions(20, on: 0), scene.sessions(80, on: 1))
      let request = scene.ask("POST", "publish/disconnect", #"{"group": "room"}"#)
      scene.settle()
      #expect(request.answer == nil)
      // Others are served meanwhile.
      #expect(scene.ask("POST", "publish/", #"{"group": "gone", "text": "a"}"#).answer != nil)
      scene.pass { request.answer != nil }
      #expect(request.answer == #"200 {"group":"room","sessions":100}"# + "\n")
    }
  }

  @Test func `an order that takes too long is answered with those that have had their turn`() async throws {
    try await PublishScene.serving { scene in
      let sessions = scene.sessions(20, on: 0) + scene.sessions(80, on: 1)
      let request = scene.ask("POST", "publish/disconnect", #"{"group": "room"}"#)
      scene.pass(.seconds(5), only: 0)
      #expect(request.answer == nil)
      scene.pass(.seconds(20), only: 0)
      #expect(request.answer == #"200 {"group":"room","sessions":20,"unfinished":true}"# + "\n")
      // It is carried out on the others all the same.
      scene.pass { sessions.allSatisfy { !$0.told.isEmpty } }
      #expect(sessions.allSatisfy { $0.told.count == 1 })
      #expect(request.answers.count == 1)
    }
  }
}
