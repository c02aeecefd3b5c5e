import Testing

@testable import GatewayConfig
@testable import Sessions

/// The sessions of a process, and how it is stopped.
private struct Stop: Sendable, CustomStringConvertible {
  var sessions: Int
  var grace: Duration
  var next = NextListener.after(.seconds(1))
  var handshakes: Rate?
  var reactors = 1

  var description: String { "\(sessions) in \(grace) on \(reactors), \(next)" }

  var plan: ClosePlan { ClosePlan(closing: sessions, within: grace, next: next, handshakes: handshakes) }

  /// As the reactors do it that have the sessions, the first of them most.
  var ends: [(closed: Duration, arrives: Duration)] {
    var left = sessions
    return (0..<reactors).flatMap { reactor in
      let share = reactor == reactors - 1 ? left : left / 2
      left -= share
      return (0..<share).map { number in
        let place = ClosePlan.place(of: number, among: share, reactor: reactor, of: reactors)
        // With the last step before its time.
        let closed = ClosePace.tick * Int(plan.close(at: place) / ClosePace.tick)
        return (closed, closed + plan.retry(at: place, after: closed))
      }
    }
  }

  static let all: [Stop] = [1, 20, 500, 2000, 10_000, 60_000].flatMap { sessions in
    [Duration.zero, .seconds(1), .seconds(10), .seconds(60)].flatMap { grace in
      [NextListener.now, .after(.zero), .after(.seconds(3))].flatMap { next in
        [1, 2, 8].map { Stop(sessions: sessions, grace: grace, next: next, reactors: $0) }
      }
    }
  }
}

extension Collection<Duration> {
  /// The most of them within any second that begins at one of them, and the number in an even second.
  fileprivate var peakAndMean: (peak: Int, mean: Double) {
    let times = sorted()
    var (peak, end) = (0, 0)
    for (start, time) in times.enumerated() {
      while end < times.count, times[end] < time + .seconds(1) { end += 1 }
      peak = Swift.max(peak, end - start)
    }
    let span = (times.last ?? .zero) - (times.first ?? .zero)
    return (peak, Double(count) / Swift.max(1, span / .seconds(1)))
  }
}

struct ClosePlanTests {
  @Test(arguments: Stop.all)
  fileprivate func
    `sessions are closed in half of the grace, and their clients come evenly when somebody listens`(
      _ stop: Stop
    )
  {
    let ends = stop.ends
    #expect(ends.count == stop.sessions)
    #expect(ends.allSatisfy { $0.closed <= stop.grace / 2 && $0.arrives >= $0.closed })
    let (peak, mean) = ends.map(\.arrives).peakAndMean
    #expect(Double(peak) <= mean * 1.1 + Double(stop.reactors), "\(peak) in a second, \(mean) on average")
    #expect(mean <= 1010 || stop.plan.arrivals <= .seconds(1) || stop.plan.arrivals == stop.plan.closes)
    let first = ends.map(\.arrives).min() ?? .zero
    switch stop.next {
    case .now: #expect(first <= .milliseconds(50))
    case .after(let time):
      // The last one has had as long to answer as all of them took to close, or the grace is over.
      let end = min(stop.grace, stop.plan.closes * 2)
      #expect(first >= end + time)
    }
  }

  @Test(arguments: Stop.all)
  fileprivate func `what is said fits into a close frame, and is not too early`(_ stop: Stop) {
    for place in [0, 0.37, 0.999] {
      let retry = stop.plan.retry(at: place, after: stop.plan.close(at: place))
      let text = CloseReason.restart(retry: retry).text
      #expect(text.utf8.count <= 123)
      let told = Double(text.dropFirst("restarting; retry in ".count).dropLast())
      #expect(told.map { $0 >= retry / .seconds(1) - 1e-6 && $0 < retry / .seconds(1) + 0.1 + 1e-6 } == true)
    }
  }

  @Test func `a few sessions are closed at once, and come back as soon as the next process may be there`() {
    let plan = Stop(sessions: 3, grace: .seconds(10)).plan
    #expect(plan.closes == .milliseconds(6))
    #expect(plan.back == .milliseconds(1012))
    #expect(plan.arrivals == plan.closes)
  }

  @Test func `as long as others keep the process, nobody is told to come`() {
    let plan = ClosePlan(
      closing: 3, within: .seconds(10), next: .after(.seconds(1)), others: .milliseconds(2500))
    #expect(plan.back == .milliseconds(3500))
    let short = ClosePlan(
      closing: 3, within: .seconds(2), next: .after(.seconds(1)), others: .milliseconds(2500))
    #expect(short.back == .seconds(3))
    #expect(ClosePlan(closing: 3, within: .seconds(2), next: .now, others: .seconds(2)).back == .zero)
  }

  @Test(arguments: [(30, 0.12), (3000, 8), (10_000, 17), (60_000, 17)])
  func `where answers are waited for only a while, the end comes that much after the last close`(
    sessions: Int, end: Double
  ) {
    let plan = ClosePlan(
      closing: sessions, within: .seconds(30), next: .after(.milliseconds(100)), answers: .seconds(2))
    #expect(plan.back == .seconds(end) + .milliseconds(100))
  }

  @Test
  func
    `with many, nobody comes before the grace and the start are over, and not more than a thousand a second`()
  {
    let plan = Stop(sessions: 10_000, grace: .seconds(10)).plan
    #expect((plan.closes, plan.back, plan.arrivals) == (.seconds(5), .seconds(11), .seconds(10)))
  }

  @Test func `where another process listens, the closes themselves are what is even`() {
    let stop = Stop(sessions: 2000, grace: .seconds(60), next: .now)
    #expect(stop.plan == ClosePlan(closing: 2000, within: .seconds(60), next: .now))
    #expect((stop.plan.closes, stop.plan.arrivals) == (.seconds(4), .seconds(4)))
    #expect(stop.ends.allSatisfy { $0.arrives - $0.closed < ClosePace.tick })
    // More than that listener should take in the time of the closes.
    let short = Stop(sessions: 6000, grace: .seconds(4), next: .now).plan
    #expect((short.closes, short.arrivals) == (.seconds(2), .seconds(6)))
  }

  @Test func `three quarters of the limit on handshakes are for those who come back`() {
    let rate = Rate(count: 100, period: .seconds(1), burst: 100)
    let plan = Stop(sessions: 3000, grace: .seconds(10), handshakes: rate).plan
    #expect(plan.arrivals == .seconds(40))
    let hourly = Rate(count: 1, period: .seconds(3600), burst: 1)
    #expect(Stop(sessions: 3000, grace: .seconds(10), handshakes: hourly).plan.arrivals == .seconds(300))
  }

  @Test func `a client that is refused meanwhile comes among the others`() {
    let plan = Stop(sessions: 10_000, grace: .seconds(10)).plan
    for _ in 0..<100 {
      #expect((.seconds(8)..<(.seconds(18))).contains(plan.retry(after: .seconds(3))))
    }
    #expect(plan.retry(after: .seconds(3600)) == .zero)
  }

  @Test func `a hint has a tenth of a second, and is never too early`() {
    let times: [(Duration, String)] = [
      (.zero, "0.0"), (.nanoseconds(1), "0.1"), (.milliseconds(100), "0.1"), (.milliseconds(3301), "3.4"),
      (.seconds(3600), "3600.0"),
    ]
    for (time, text) in times { #expect(time.hint == "retry in \(text)s") }
  }
}
