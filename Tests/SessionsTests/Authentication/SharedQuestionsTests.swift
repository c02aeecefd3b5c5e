import Synchronization
import Testing
import Transport

@testable import Sessions

struct SharedQuestionsTests {
  private final class View: Sendable {
    let asked = Atomic(0)
    let cancelled = Atomic(0)
    private let answers: AsyncStream<Verdict>
    private let giver: AsyncStream<Verdict>.Continuation

    init() {
      (answers, giver) = AsyncStream.makeStream()
    }

    func answer() {
      giver.yield(.accepted(nil))
    }

    func ask() async -> Verdict {
      asked.up()
      for await answer in answers { return answer }
      cancelled.up()
      return .unavailable
    }
  }

  private func isAccepted(_ verdict: Verdict) -> Bool { if case .accepted = verdict { true } else { false } }

  /// Lets the other tasks go on until something holds.
  private func until(_ holds: () -> Bool) async {
    while !holds() { await Task.yield() }
  }

  @Test(.timeLimit(.minutes(1)))
  func `the same question at the same time is asked once, and another one apart`() async {
    let (shared, view, other) = (SharedQuestions(), View(), View())
    let key = Question.Key(["a"])
    let first = Task { await shared.answer(to: key) { await view.ask() } }
    await until { view.asked.count == 1 }
    let more = (0..<9).map { _ in Task { await shared.answer(to: key) { await view.ask() } } }
    await until { shared.waiting(for: key) == 10 }
    let stranger = Task { await shared.answer(to: Question.Key(["b"])) { await other.ask() } }
    await until { other.asked.count == 1 }
    other.answer()
    #expect(isAccepted(await stranger.value))
    view.answer()
    for task in [first] + more { #expect(isAccepted(await task.value)) }
    #expect(view.asked.count == 1)
    await until { shared.waiting(for: key) == 0 }
  }

  @Test(.timeLimit(.minutes(1)))
  func `one that leaves takes nobody's answer, and the last one ends the question`() async {
    let (shared, view) = (SharedQuestions(), View())
    let key = Question.Key(["a"])
    let first = Task { await shared.answer(to: key) { await view.ask() } }
    await until { view.asked.count == 1 }
    let second = Task { await shared.answer(to: key) { await view.ask() } }
    await until { shared.waiting(for: key) == 2 }
    first.cancel()
    await until { shared.waiting(for: key) == 1 }
    #expect(view.cancelled.count == 0)
    second.cancel()
    await until { view.cancelled.count == 1 }
    #expect(shared.waiting(for: key) == 0)
    _ = await (first.value, second.value)
  }
}

struct StandingQuestionTests {
  @Test func `questions are spread, and come in time`() {
    func pause(isFirst: Bool = false, isUnanswered: Bool = false, _ random: Double) -> Duration {
      StandingQuestion.pause(.seconds(300), isFirst: isFirst, isUnanswered: isUnanswered, random: random)
    }
    #expect(pause(isFirst: true, 0) == .zero)
    #expect(pause(isFirst: true, 1) == .seconds(300))
    #expect((pause(0), pause(1)) == (.seconds(225), .seconds(300)))
    #expect((pause(isUnanswered: true, 0), pause(isUnanswered: true, 1)) == (.seconds(22.5), .seconds(30)))
  }

  @Test func `each view is asked at its own time`() {
    var times = RecheckTimes()
    let start = MonotonicTime(nanoseconds: 1_000_000_000)
    func plan(
      after views: Set<StandingQuestion.View> = [], callback: Int64?, permission: Int64?, at seconds: Int64
    ) -> Duration? {
      var intervals: [StandingQuestion.View: Duration] = [:]
      intervals[.callback] = callback.map { .seconds($0) }
      intervals[.permission] = permission.map { .seconds($0) }
      let now = start + .seconds(seconds)
      times.plan(after: views, intervals, now: now, random: { 1 })
      return times.wait(at: now)
    }
    func views(at seconds: Int64) -> Set<StandingQuestion.View> { times.views(at: start + .seconds(seconds)) }
    #expect(plan(callback: 3600, permission: 1, at: 0) == .seconds(1))
    #expect(views(at: 0) == [])
    #expect(views(at: 1) == [.permission])
    #expect(plan(after: [.permission], callback: 3600, permission: 1, at: 1) == .seconds(1))
    #expect(views(at: 3600) == [.callback, .permission])
    // The route is exchanged for one that asks more often, or not at all.
    #expect(plan(callback: 10, permission: nil, at: 1) == .seconds(10))
    #expect(views(at: 3600) == [.callback])
    #expect(plan(callback: nil, permission: nil, at: 2) == nil)
  }
}
