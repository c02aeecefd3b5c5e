import ChannelLayers
import Testing

@testable import Gateway

struct LaggingReadsTests {
  private static let reached = EventPosition(epoch: 1, offset: 7)

  @Test func `only a few wait for a position that never comes, and the others are answered at once`() async {
    let reads = LaggingReads()
    let counts = await withTaskGroup(of: Int.self) { group in
      for _ in 0..<3 * LaggingReads.most {
        group.addTask {
          var count = 0
          _ = await reads.read { read in
            guard read == .mayWait else { return .kept(HistorySlice(start: Self.reached, isGap: true)) }
            count += 1
            return .kept(HistorySlice(aheadOf: Self.reached))
          }
          return count
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(counts.count { $0 == 1 } == 2 * LaggingReads.most)
  }

  @Test func `who waits gets what is there as soon as the copy has caught up`() async {
    var count = 0
    let history = await LaggingReads(longest: .seconds(3600)).read { _ in
      count += 1
      return .kept(count < 3 ? HistorySlice(aheadOf: Self.reached) : HistorySlice(start: Self.reached))
    }
    #expect(count == 3)
    guard case .kept(let slice) = history else {
      Issue.record("nothing was kept")
      return
    }
    #expect(!slice.isAhead)
  }
}
