import Testing

@testable import Sessions

struct BackoffTests {
  @Test func `pauses double up to the longest one`() {
    let backoff = Backoff(first: .seconds(1), longest: .seconds(60))
    #expect((0...8).map(backoff.pause) == [1, 1, 2, 4, 8, 16, 32, 60, 60].map { .seconds($0) })
    #expect(backoff.pause(after: .max) == .seconds(60))
    #expect(backoff.steps == 7)
  }
}
