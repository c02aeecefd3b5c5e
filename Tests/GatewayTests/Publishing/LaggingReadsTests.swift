import ChannelLayers
import Testing

@testable import Gateway

struct LaggingReadsTests {
  @Test func `only a few wait for a position that never comes, and the others are answered at once`() async {
    let reads = LaggingReads()
    let counts = await withTaskGroup(of: Int.self) { group in
      for _ in 0..<3 * LaggingReads.most {
        group.addTask {
          var count = 0
          _ = await reads.read {
            count += 1
            var slice = HistorySlice(start: EventPosition(epoch: 1, offset: 0), isGap: true)
            slice.isAhead = true
            return .kept(slice)
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
    let history = await LaggingReads(longest: .seconds(3600)).read {
      count += 1
      var slice = HistorySlice(start: EventPosition(epoch: 1, offset: 7))
      slice.isAhead = count < 3
      return .kept(slice)
    }
    #expect(count == 3)
    guard case .kept(let slice) = history else { return #expect(Bool(false), "nothing was kept") }
    #expect(!slice.isAhead)
  }
}
