import Bytes
import LayerTestSupport
import Testing
import Transport

@testable import GatewayConfig
@testable import Sessions

struct HandshakeRateTests {
  private func rate(_ count: Int) -> HandshakeRate {
    HandshakeRate(Rate(count: count, period: .seconds(1), burst: count), log: .quiet)
  }

  private let start = MonotonicTime(nanoseconds: 1_000_000_000_000)

  @Test func `without a limit everyone is allowed, and a limit can come and change`() {
    let rate = HandshakeRate(nil, log: .quiet)
    #expect((0..<1000).allSatisfy { _ in rate.retryAfter(at: start) == nil })
    rate.limit(Rate(count: 2, period: .seconds(1), burst: 2))
    #expect((0..<3).map { _ in rate.retryAfter(at: start) == nil } == [true, true, false])
    // What is the same goes on.
    rate.limit(Rate(count: 2, period: .seconds(1), burst: 2))
    #expect(rate.retryAfter(at: start) != nil)
    rate.limit(nil)
    #expect(rate.retryAfter(at: start) == nil)
    #expect(rate.refused == 2)
  }

  @Test func `so many are allowed at once, and each of the others has a second of its own`() {
    let rate = rate(500)
    let answers = (0..<3000).map { _ in rate.retryAfter(at: start) }
    #expect(answers.prefix(500).allSatisfy { $0 == nil })
    #expect(rate.refused == 2500)
    let seconds = Dictionary(grouping: answers.dropFirst(500).compactMap(\.self), by: \.self)
    #expect(seconds.keys.sorted() == [1, 2, 3, 4, 5, 6])
    #expect(seconds.values.allSatisfy { $0.count <= 500 })
  }

  @Test func `of one second no more are told to come than may come at once`() {
    let rate = HandshakeRate(Rate(count: 100, period: .seconds(1), burst: 10), log: .quiet)
    let seconds = (0..<100).compactMap { _ in rate.retryAfter(at: start) }
    #expect(seconds.count == 90)
    #expect(Dictionary(grouping: seconds, by: \.self).values.allSatisfy { $0.count <= 10 })
  }

  @Test func `those who come when they were told to are let in`() {
    let rate = rate(100)
    var waiting = Array(repeating: 0.0, count: 1000)
    var turns = 0
    while !waiting.isEmpty, turns < 30 {
      let now = start + .seconds(turns)
      waiting = waiting.compactMap { due in
        guard due <= Double(turns) else { return due }
        return rate.retryAfter(at: now).map { Double(turns + $0) }
      }
      turns += 1
    }
    // 100 at first, and then 100 in each second.
    #expect((10...12).contains(turns), "\(turns)")
  }

  @Test func `a process that takes the place of another one is no new start`() throws {
    let limit = Rate(count: 10, period: .seconds(1), burst: 10)
    let rate = rate(10)
    #expect((0..<25).compactMap { _ in rate.retryAfter(at: start) }.count == 15)
    var state = RateState()
    state.ofAll = rate.handed
    var writer = RecordWriter()
    state.write(to: &writer)
    let handed = try RecordReader.read(writer.bytes[...], as: RateState.self).ofAll
    #expect(handed == rate.handed && handed?.rate == limit)
    let next = HandshakeRate(limit, resuming: handed, log: .quiet)
    // As if there had been no other process: those who come now are told times behind those that were told before.
    let now = start + .milliseconds(300)
    let answers = (0..<20).map { _ in next.retryAfter(at: now) }
    #expect(answers == (0..<20).map { _ in rate.retryAfter(at: now) })
    #expect(answers.prefix(3).allSatisfy { $0 == nil } && answers[3] == 2)
    // Another limit begins anew, as after a reload.
    let other = HandshakeRate(Rate(count: 5, period: .seconds(1), burst: 5), resuming: handed, log: .quiet)
    #expect((0..<6).map { _ in other.retryAfter(at: now) == nil }.count { $0 } == 5)
    #expect(HandshakeRate(nil, resuming: handed, log: .quiet).handed == nil)
  }

  @Test func `nobody is told to wait for hours because of the number of others`() {
    let rate = rate(10)
    let longest = (0..<100_000).compactMap { _ in rate.retryAfter(at: start) }.max()
    #expect(longest == 61 || longest == 60)
  }
}
