import ChannelLayers
import Testing

@testable import Gateway
@testable import Transport

struct LaggingReadsTests {
  private static let reached = EventPosition(epoch: 1, offset: 7)
  private static let ahead = Publisher.History.kept(HistorySlice(aheadOf: reached))

  @Test func `only a few wait for a position that never comes, and the others are answered at once`()
    async throws
  {
    try await Reactor.withoutThread { reactor in
      let reads = LaggingReads(longest: .milliseconds(20))
      var (answered, lookedAgain) = (0, 0)
      for _ in 0..<3 * LaggingReads.most {
        var count = 0
        reads.read(on: reactor) { read, completed in
          guard read == .mayWait else {
            return completed(.kept(HistorySlice(start: Self.reached, isGap: true)))
          }
          count += 1
          if count == 2 { lookedAgain += 1 }
          completed(Self.ahead)
        } _: { _ in
          answered += 1
        }
      }
      #expect(answered == 2 * LaggingReads.most)
      // The reads look at the clock themselves, and wait for the reactor's.
      var now = MonotonicTime.now
      let end = now + .seconds(100)
      while answered < 3 * LaggingReads.most, MonotonicTime.now < end {
        now = now + .seconds(1)
        _ = reactor.turnOnce(at: now)
      }
      #expect(answered == 3 * LaggingReads.most)
      #expect(lookedAgain == LaggingReads.most)
    }
  }

  @Test func `who waits gets what is there as soon as the copy has caught up`() async throws {
    try await Reactor.withoutThread { reactor in
      var count = 0
      var result: Publisher.History?
      LaggingReads(longest: .seconds(3600)).read(on: reactor) { _, completed in
        count += 1
        completed(count < 3 ? Self.ahead : .kept(HistorySlice(start: Self.reached)))
      } _: {
        result = $0
      }
      #expect(count == 1)
      var now = MonotonicTime.now
      for _ in 0..<2 {
        now = now + .seconds(1)
        _ = reactor.turnOnce(at: now)
      }
      #expect(count == 3)
      guard case .kept(let slice) = result else {
        Issue.record("nothing was kept")
        return
      }
      #expect(!slice.isAhead)
    }
  }
}
