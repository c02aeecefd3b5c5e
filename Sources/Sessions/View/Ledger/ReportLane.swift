import DequeModule
import Transport

/// The ends of one route's sessions that its view is still to be told, and when each may be told.
///
/// A value without a clock and without a connection. A report is repeated until it is settled, after waits that grow; while the view
/// answers nothing, one at a time is tried.
struct ReportLane<Report> {
  /// What can be done now.
  enum Step {
    case ask(Report)
    /// Nothing before this time.
    case wait(MonotonicTime)
    /// Nothing before a report is added or settled.
    case idle
  }

  private struct Waiting {
    var report: Report
    /// When it was added, or may be tried again.
    var time: MonotonicTime
  }

  /// Before a report is repeated, by the number of its failures.
  private static var waits: Backoff { Backoff(first: .seconds(1), longest: .seconds(60)) }
  /// The most reports in a second, with a few at once, because a reactor's timers are coarse.
  private static var gap: Duration { .milliseconds(2) }
  private static var burst: Duration { .milliseconds(40) }
  /// While the view answers nothing.
  private static var pauses: Backoff { Backoff(first: .milliseconds(250), longest: .seconds(5)) }

  /// The most reports under way.
  var width: Int
  /// Never tried, the oldest first.
  private var fresh: Deque<Waiting> = []
  /// By the number of failures. All reports of one list wait equally long, so each list is in the order of their times.
  private var failed: [Deque<Waiting>]
  private(set) var underWay = 0
  private var failuresInRow = 0
  private var pausedUntil = MonotonicTime(nanoseconds: 0)
  /// When the next report would be due if they were evenly spread.
  private var pace = MonotonicTime(nanoseconds: 0)
  /// Whether a stop waits for them, so that the waits are short.
  var isHurried = false

  init(width: Int) {
    self.width = max(width, 1)
    failed = Array(repeating: [], count: Self.waits.steps)
  }

  /// How many wait or are under way.
  var count: Int { fresh.count + failed.reduce(underWay) { $0 + $1.count } }

  /// How long the oldest report that was never tried has waited.
  func lag(at now: MonotonicTime) -> Duration { fresh.first.map { now.since($0.time) } ?? .zero }

  mutating func add(_ report: Report, at now: MonotonicTime) {
    fresh.append(Waiting(report: report, time: now))
  }

  /// Gives up the oldest report that is not under way; nil without one.
  mutating func removeOldest() -> Report? {
    // Those that have failed most often are the oldest.
    for level in failed.indices.reversed() {
      if let first = failed[level].popFirst() { return first.report }
    }
    return fresh.popFirst()?.report
  }

  /// What to do now. A report that is returned is under way until it is `settled`, or has `failed`.
  mutating func next(at now: MonotonicTime) -> Step {
    guard underWay < (failuresInRow == 0 ? max(width, 1) : 1) else { return .idle }
    guard let (level, due) = nextDue() else { return .idle }
    let allowed = max(due, pausedUntil, pace)
    guard allowed <= now else { return .wait(allowed) }
    let report = level.map { failed[$0].removeFirst() } ?? fresh.removeFirst()
    underWay += 1
    let earliest = MonotonicTime(
      nanoseconds: now.nanoseconds &- min(now.nanoseconds, Self.burst.wholeNanoseconds))
    // A stop has no time to spread them: the width bounds them.
    pace = isHurried ? now : max(pace, earliest) + Self.gap
    return .ask(report.report)
  }

  /// The list with the report that is due first, or nil for `fresh`, and when it is due.
  private func nextDue() -> (level: Int?, due: MonotonicTime)? {
    let repeated = failed.indices.lazy.compactMap { level in
      failed[level].first.map { (level: Int?.some(level), due: $0.time) }
    }.min { $0.due < $1.due }
    guard let first = fresh.first else { return repeated }
    guard let repeated, repeated.due < first.time else { return (nil, first.time) }
    return repeated
  }

  /// The report was answered, whatever with.
  mutating func settled() {
    underWay -= 1
    failuresInRow = 0
  }

  /// It is of no use any more. This says nothing about the view.
  mutating func withdrawn() {
    underWay -= 1
  }

  /// It could not be asked. This says nothing about the view.
  mutating func postponed(_ report: Report, at now: MonotonicTime) {
    underWay -= 1
    failed[0].append(Waiting(report: report, time: now + Self.waits.first))
  }

  /// It was not answered, and waits to be repeated.
  ///
  /// - Parameters:
  ///   - attempts: how often it was tried so far, at least 1.
  ///   - retryAfter: what the view asks for; nil if it asks for nothing.
  mutating func failed(
    _ report: Report, attempts: Int, retryAfter: Duration? = nil, at now: MonotonicTime
  ) {
    underWay -= 1
    failuresInRow += 1
    let longest = isHurried ? Duration.milliseconds(500) : Self.pauses.longest
    let pause = min(Self.pauses.pause(after: failuresInRow), longest)
    pausedUntil = max(pausedUntil, now + max(pause, min(retryAfter ?? .zero, longest)))
    let failures = isHurried ? 1 : min(max(attempts, 1), Self.waits.steps)
    failed[failures - 1].append(Waiting(report: report, time: now + Self.waits.pause(after: failures)))
  }

  /// A stop waits for them: what has failed is tried again at once.
  mutating func hurry(at now: MonotonicTime) {
    isHurried = true
    pausedUntil = now
    for level in failed.indices {
      for place in failed[level].indices { failed[level][place].time = now }
    }
  }
}
