import Transport

/// When the views of a route are asked next about an open session: each at its own time.
struct RecheckTimes {
  var due: [StandingQuestion.View: MonotonicTime] = [:]

  /// Sets when views are asked that have just been asked, or have never been.
  ///
  /// - Parameters:
  ///   - views: those that have been asked.
  ///   - intervals: the longest times between two questions; a view that is not among them is not asked any more.
  mutating func plan(
    after views: Set<StandingQuestion.View> = [], _ intervals: [StandingQuestion.View: Duration],
    isUnanswered: Bool = false,
    now: MonotonicTime = .now, random: () -> Double = { .random(in: 0...1) }
  ) {
    due = due.filter { intervals[$0.key] != nil }
    for (view, interval) in intervals {
      let isAsked = views.contains(view)
      let pause = StandingQuestion.pause(
        interval, isFirst: !isAsked, isUnanswered: isUnanswered, random: random())
      if isAsked || due[view] == nil {
        due[view] = now + pause
      } else if let known = due[view] {
        // The interval may be shorter than before.
        due[view] = min(known, now + interval)
      }
    }
  }

  /// The views that are to be asked now.
  func views(at now: MonotonicTime = .now) -> Set<StandingQuestion.View> {
    Set(due.filter { $0.value <= now }.keys)
  }

  /// The time until the next question; nil if there is none.
  func wait(at now: MonotonicTime = .now) -> Duration? {
    due.values.min().map { $0 > now ? $0.since(now) : .zero }
  }
}
