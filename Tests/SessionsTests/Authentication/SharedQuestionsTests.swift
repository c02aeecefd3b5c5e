import Synchronization
import Testing

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
}
