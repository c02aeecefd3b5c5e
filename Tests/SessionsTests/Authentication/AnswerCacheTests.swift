import JSON
import Testing
import Transport

@testable import Sessions

struct AnswerCacheTests {
  private let start = MonotonicTime(nanoseconds: 1_000_000_000)
  private let accepted = Verdict.accepted(["user": "5"])
  private let refused = Verdict.refused(.noToken)

  private func key(_ parts: String...) -> Question.Key { Question.Key(parts) }

  private func kind(_ verdict: Verdict?) -> String {
    switch verdict {
    case nil: "nothing"
    case .accepted: "accepted"
    case .refused: "refused"
    case .unavailable: "unavailable"
    }
  }

  @Test func `an answer is kept for a short time, and for the same question`() {
    let cache = AnswerCache(accepted: .seconds(10), refused: .zero)
    cache.keep(accepted, bytes: 10, for: key("a", "b"), at: start)
    #expect(kind(cache.verdict(for: key("a", "b"), at: start + .seconds(9))) == "accepted")
    #expect(kind(cache.verdict(for: key("a", "b"), at: start + .seconds(10))) == "nothing")
    // Parts are not joined: one value is not two.
    for other in [key("ab"), key("a", "b", ""), key("", "a", "b"), key("b", "a")] {
      #expect(kind(cache.verdict(for: other, at: start)) == "nothing")
    }
    // Texts that Swift considers equal are different bytes.
    cache.keep(accepted, bytes: 10, for: key("\u{E9}"), at: start)
    #expect(kind(cache.verdict(for: key("e\u{301}"), at: start)) == "nothing")
  }

  @Test func `refusals are kept apart, and only where it is wanted`() {
    let cache = AnswerCache(accepted: .seconds(10), refused: .zero)
    cache.keep(refused, bytes: 10, for: key("a"), at: start)
    #expect(kind(cache.verdict(for: key("a"), at: start)) == "nothing")
    let both = AnswerCache(accepted: .seconds(10), refused: .seconds(5))
    both.keep(refused, bytes: 10, for: key("a"), at: start)
    #expect(kind(both.verdict(for: key("a"), at: start + .seconds(4))) == "refused")
    // The last answer counts.
    both.keep(accepted, bytes: 10, for: key("a"), at: start)
    #expect(kind(both.verdict(for: key("a"), at: start)) == "accepted")
    both.keep(refused, bytes: 10, for: key("a"), at: start)
    #expect(kind(both.verdict(for: key("a"), at: start)) == "refused")
    // Strangers push nobody out.
    both.keep(accepted, bytes: 10, for: key("friend"), at: start)
    for number in 0..<10_000 { both.keep(refused, bytes: 10, for: key("\(number)"), at: start) }
    #expect(kind(both.verdict(for: key("friend"), at: start)) == "accepted")
    // A view that is asked too often is not thereby one that refuses.
    both.keep(.refused(AuthRefusal(answer: .tooManyForCallback)), bytes: 0, for: key("many"), at: start)
    both.keep(.unavailable, bytes: 0, for: key("away"), at: start)
    #expect(kind(both.verdict(for: key("many"), at: start)) == "nothing")
    #expect(kind(both.verdict(for: key("away"), at: start)) == "nothing")
  }

  @Test(arguments: [(0, 1...4096), (16 * 1024, 1...20)])
  func `the cache is bounded`(_ bytes: Int, _ bound: ClosedRange<Int>) {
    let cache = AnswerCache(accepted: .seconds(10), refused: .zero)
    for number in 0..<10_000 { cache.keep(accepted, bytes: bytes, for: key("\(number)"), at: start) }
    let kept = (0..<10_000).count { kind(cache.verdict(for: key("\($0)"), at: start)) != "nothing" }
    #expect(bound.contains(kept), "\(kept)")
  }

  @Test func `an answer that has expired is not used`() {
    let cache = AnswerCache(accepted: .seconds(10), refused: .zero)
    cache.keep(.accepted(["user": "5", "exp": .integer(1000)]), bytes: 10, for: key("a"), at: start)
    #expect(kind(cache.verdict(for: key("a"), at: start)) == "nothing")
  }
}
