import Testing

@testable import Transport

struct LogPaceTests {
  @Test func `one a second, with a count of the others`() {
    var one = LogPace(most: 1)
    let start = MonotonicTime.now
    #expect(one.next(at: start) == 0)
    #expect(one.next(at: start + .milliseconds(1)) == nil)
    #expect(one.next(at: start + .milliseconds(999)) == nil)
    #expect(one.next(at: start + .seconds(1)) == 2)
    #expect(one.next(at: start + .seconds(3)) == 0)
  }

  @Test func `lines over the most of an interval are counted, and told with the first one of the next`() {
    var pace = LogPace(most: 2, every: .seconds(10))
    let start = MonotonicTime.now
    #expect((0..<5).map { pace.next(at: start + .seconds($0)) } == [0, 0, nil, nil, nil])
    #expect((10..<13).map { pace.next(at: start + .seconds($0)) } == [3, 0, nil])
  }
}
