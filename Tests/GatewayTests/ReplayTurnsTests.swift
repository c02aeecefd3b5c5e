import ChannelLayers
import Testing
import Transport

@testable import Gateway

private final class Nothing: EventRenderer {
  func render(_ event: Event, for address: String?, into frames: SharedBytes) -> Rendering { .ignored }
}

struct ReplayTurnsTests {
  @Test func `a few replays have a part in each turn, and all have theirs in the end`() throws {
    let (thread, _) = try Reactor.start(name: "test") { reactor in
      let layer = Empty(reactor)
      var posts = 0
      let turns = ReplayTurns { posts += 1 }
      var parts: [Int] = []
      func feed(_ number: Int, _ replay: Replay) {
        guard turns.mayFeed(replay, else: { feed(number, replay) }) else { return }
        parts.append(number)
        if parts.count(where: { $0 == number }) < 3 { turns.goOn(replay) { feed(number, replay) } }
      }
      for number in 0..<20 {
        let replay = Replay(from: .beginning, isNumbered: false, in: layer, renderer: Nothing())
        feed(number, replay)
        // Asked for again before its turn.
        feed(number, replay)
      }
      var longest = parts.count
      var count = 0
      while posts > count {
        count += 1
        let before = parts.count
        turns.next()
        longest = max(longest, parts.count - before)
      }
      #expect(longest == 8)
      #expect((0..<20).allSatisfy { number in parts.count { $0 == number } == 3 })
    }
    thread.stop()
    thread.join()
  }
}

private final class Empty: ChannelLayer {
  let groups: LocalGroups

  init(_ reactor: Reactor) {
    groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
  }

  func publish(_ event: Event, to group: String, from sender: Membership) {}
  func publish(_ event: Event, to group: String, completed: @escaping (Published) -> Void) {}
  func subscribe(to group: String, _ completed: @escaping (Subscription) -> Void) { completed(.active) }
  func unsubscribe(from group: String) {}
}
