import Testing
import Transport

@testable import Sessions

struct ReportLaneTests {
  private static func time(_ seconds: Double) -> MonotonicTime {
    MonotonicTime(nanoseconds: 0) + .seconds(1000) + .seconds(seconds)
  }

  /// What a lane does next, in words.
  private static func step(_ lane: inout ReportLane<String>, at seconds: Double) -> String {
    switch lane.next(at: time(seconds)) {
    case .ask(let report): report
    case .wait(let until): "wait \(until.since(time(seconds)) / .milliseconds(1)) ms"
    case .idle: "idle"
    }
  }

  @Test func `reports are asked in their order, and not more at a time than may be`() {
    var lane = ReportLane<String>(width: 2)
    for report in ["a", "b", "c"] { lane.add(report, at: Self.time(0)) }
    #expect((0..<3).map { _ in Self.step(&lane, at: 0) } == ["a", "b", "idle"])
    lane.settled()
    #expect(Self.step(&lane, at: 0) == "c")
    lane.settled()
    lane.settled()
    #expect(lane.count == 0)
    #expect(Self.step(&lane, at: 0) == "idle")
  }

  @Test func `a reload may give the reports more places`() {
    var lane = ReportLane<String>(width: 1)
    for report in ["a", "b"] { lane.add(report, at: Self.time(0)) }
    #expect((0..<2).map { _ in Self.step(&lane, at: 0) } == ["a", "idle"])
    lane.width = 2
    #expect(Self.step(&lane, at: 0) == "b")
  }

  @Test func `a report that could not be asked says nothing of the view`() {
    var lane = ReportLane<String>(width: 3)
    for report in ["a", "b", "c"] { lane.add(report, at: Self.time(0)) }
    #expect(Self.step(&lane, at: 0) == "a")
    lane.postponed("a", at: Self.time(0))
    #expect((0..<3).map { _ in Self.step(&lane, at: 0) } == ["b", "c", "wait 1000.0 ms"])
    #expect(lane.count == 3 && Self.step(&lane, at: 1) == "a")
  }

  @Test func `a route with few places has one for reports`() {
    var lane = ReportLane<String>(width: 0)
    lane.add("a", at: Self.time(0))
    #expect(Self.step(&lane, at: 0) == "a")
  }

  @Test(arguments: [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (6, 32.0), (7, 60.0), (1000, 60.0)])
  func `a report that has failed is repeated after a wait that grows`(attempts: Int, seconds: Double) {
    var lane = ReportLane<String>(width: 2)
    lane.add("a", at: Self.time(0))
    #expect(Self.step(&lane, at: 0) == "a")
    lane.failed("a", attempts: attempts, at: Self.time(0))
    #expect(Self.step(&lane, at: 0) == "wait \(seconds * 1000) ms")
    #expect(Self.step(&lane, at: seconds) == "a")
  }

  @Test func `while the view answers nothing, one report at a time is tried`() {
    var lane = ReportLane<String>(width: 2)
    for report in ["a", "b", "c"] { lane.add(report, at: Self.time(0)) }
    #expect((0..<2).map { _ in Self.step(&lane, at: 0) } == ["a", "b"])
    lane.failed("a", attempts: 1, at: Self.time(0))
    #expect(Self.step(&lane, at: 0) == "idle")
    lane.failed("b", attempts: 1, at: Self.time(0))
    // The pause doubles with each failure in a row.
    #expect(Self.step(&lane, at: 0) == "wait 500.0 ms")
    #expect(Self.step(&lane, at: 0.5) == "c")
    #expect(Self.step(&lane, at: 2) == "idle")
    lane.settled()
    #expect((0..<2).map { _ in Self.step(&lane, at: 2) } == ["a", "b"])
  }

  @Test func `one report that always fails does not hold up the others`() {
    var lane = ReportLane<String>(width: 1)
    lane.add("bad", at: Self.time(0))
    #expect(Self.step(&lane, at: 0) == "bad")
    lane.failed("bad", attempts: 5, at: Self.time(0))
    lane.add("good", at: Self.time(1))
    #expect(Self.step(&lane, at: 1) == "good")
    lane.settled()
    #expect(Self.step(&lane, at: 1) == "wait 15000.0 ms")
  }

  @Test func `a view may ask for more time, up to a bound`() {
    var lane = ReportLane<String>(width: 1)
    for report in ["a", "b"] { lane.add(report, at: Self.time(0)) }
    #expect(Self.step(&lane, at: 0) == "a")
    lane.failed("a", attempts: 1, retryAfter: .seconds(3), at: Self.time(0))
    #expect(Self.step(&lane, at: 0) == "wait 3000.0 ms")
    #expect(Self.step(&lane, at: 3) == "b")
    lane.failed("b", attempts: 1, retryAfter: .seconds(86_400), at: Self.time(3))
    #expect(Self.step(&lane, at: 3) == "wait 5000.0 ms")
  }

  @Test func `not more than 500 a second are asked`() {
    var lane = ReportLane<Int>(width: .max)
    for report in 0..<2000 { lane.add(report, at: Self.time(0)) }
    var asked = 0
    for tick in 0..<1000 {
      while case .ask = lane.next(at: Self.time(Double(tick) / 1000)) { asked += 1 }
    }
    #expect((490...530).contains(asked))
  }

  @Test func `the oldest one is given up first, one under way never`() {
    var lane = ReportLane<String>(width: 1)
    for report in ["a", "b", "c"] { lane.add(report, at: Self.time(0)) }
    #expect(Self.step(&lane, at: 0) == "a")
    lane.failed("a", attempts: 1, at: Self.time(0))
    #expect(Self.step(&lane, at: 0.3) == "b")
    #expect([lane.removeOldest(), lane.removeOldest(), lane.removeOldest()] == ["a", "c", nil])
    #expect(lane.count == 1)
  }

  @Test func `a stop does not wait for the waits`() {
    var lane = ReportLane<String>(width: 1)
    lane.add("a", at: Self.time(0))
    #expect(Self.step(&lane, at: 0) == "a")
    lane.failed("a", attempts: 9, at: Self.time(0))
    lane.hurry(at: Self.time(1))
    #expect(Self.step(&lane, at: 1) == "a")
    lane.failed("a", attempts: 10, at: Self.time(1))
    #expect(Self.step(&lane, at: 1) == "wait 1000.0 ms")
  }

  @Test func `a stop does not spread them`() {
    var lane = ReportLane<String>(width: 1000)
    lane.hurry(at: Self.time(0))
    for report in 0..<600 { lane.add("\(report)", at: Self.time(0)) }
    let steps = (0..<600).map { _ in Self.step(&lane, at: 0) }
    #expect(steps == (0..<600).map { "\($0)" })
  }

  @Test func `one that was withdrawn says nothing about the view`() {
    var lane = ReportLane<String>(width: 1)
    for report in ["a", "b"] { lane.add(report, at: Self.time(0)) }
    #expect(Self.step(&lane, at: 0) == "a")
    lane.withdrawn()
    #expect(Self.step(&lane, at: 0) == "b")
    #expect(lane.lag(at: Self.time(10)) == .zero)
  }
}
