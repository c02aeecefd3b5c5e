import Testing
import Transport

@testable import Sessions

struct ViewRetriesTests {
  private let start = MonotonicTime(nanoseconds: 1_000_000_000_000)

  private func terms(
    _ repeating: ViewTerms.Repeating = .always, _ patience: Duration, _ lane: ViewTerms.Lane = .clients
  ) -> ViewTerms {
    var terms = ViewTerms(asker: "a")
    (terms.repeating, terms.patience, terms.lane) = (repeating, patience, lane)
    return terms
  }

  /// The pauses of a question that fails each time, at once.
  private func pauses(
    _ terms: ViewTerms, random: Double, mayHaveRun: Bool = false, retryAfter: Duration? = nil
  ) -> [Duration] {
    var retries = ViewRetries(terms)
    var now = start
    var pauses: [Duration] = []
    let failure = ViewFailure(reason: "", mayHaveRun: mayHaveRun, retryAfter: retryAfter)
    while pauses.count < 20,
      let pause = retries.pause(after: retries.noting(failure), at: now, random: random)
    {
      pauses.append(pause)
      now = now + pause
    }
    return pauses
  }

  @Test func `pauses double, and end with the patience`() {
    let all = pauses(terms(.always, .seconds(30)), random: 1)
    #expect(all == [250, 500, 1000, 2000, 4000, 5000, 5000, 5000, 5000].map { .milliseconds($0) })
    let short = pauses(terms(.always, .seconds(30)), random: 0)
    #expect(Array(short.prefix(6)) == [125, 250, 500, 1000, 2000, 2500].map { .milliseconds($0) })
  }

  @Test func `without patience it is asked once`() {
    #expect(pauses(terms(.always, .zero), random: 0) == [])
  }

  @Test func `reports have longer pauses`() {
    #expect(pauses(terms(.always, .seconds(1_000_000), .reports), random: 1).max() == .seconds(30))
  }

  @Test func `what the view may have handled is asked again only if it may be`() {
    #expect(pauses(terms(.unsent, .seconds(30)), random: 1, mayHaveRun: true) == [])
    #expect(!pauses(terms(.unsent, .seconds(30)), random: 1).isEmpty)
    #expect(!pauses(terms(.always, .seconds(30)), random: 1, mayHaveRun: true).isEmpty)
  }

  @Test func `a view says when it is worth to come again`() {
    #expect(
      pauses(terms(.always, .seconds(30)), random: 1, retryAfter: .seconds(12)) == [
        .seconds(12), .seconds(12),
      ])
    #expect(pauses(terms(.always, .seconds(30)), random: 1, retryAfter: .seconds(3600)) == [])
    #expect(
      pauses(terms(.always, .seconds(1000), .reports), random: 1, retryAfter: .seconds(3600)).first
        == .seconds(60))
  }

  @Test func `an attempt that may have run counts for all`() {
    var retries = ViewRetries(terms(.always, .seconds(30)))
    #expect(retries.noting(ViewFailure(reason: "", mayHaveRun: true)).mayHaveRun)
    #expect(retries.noting(ViewFailure(reason: "", mayHaveRun: false)).mayHaveRun)
  }
}
