import Testing

@testable import Bench

struct LatenciesTests {
  @Test func `percentiles are within a thousandth`() {
    var latencies = Latencies()
    for value in 1...100_000 as ClosedRange<UInt64> { latencies.record(value * 1000) }
    #expect(latencies.count == 100_000)
    #expect(latencies.longest == 100_000_000)
    for percent in [50, 90, 99, 99.9] {
      let exact = percent / 100 * 100_000_000
      let found = Double(latencies.percentile(percent))
      #expect(abs(found - exact) <= exact / 1000, "p\(percent): \(found)")
    }
  }

  @Test func `nothing recorded is 0, and hours are an hour`() {
    var latencies = Latencies()
    #expect((latencies.percentile(50), latencies.longest) == (0, 0))
    latencies.record(.max)
    #expect(latencies.longest == 3_600_000_000_000)
  }

  @Test func `those of two reactors are put together`() {
    var one = Latencies()
    var other = Latencies()
    for _ in 0..<90 { one.record(10) }
    for _ in 0..<10 { other.record(1000) }
    one.add(other)
    #expect((one.count, one.percentile(90), one.percentile(91), one.longest) == (100, 10, 1000, 1000))
  }
}
