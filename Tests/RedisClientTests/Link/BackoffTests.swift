import Testing
import Transport

@testable import RedisClient

struct BackoffTests {
  @Test
  func `each wait is up to twice as long as the one before, to a limit, and after a success short again`() {
    var backoff = Backoff()
    for most in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
      let limit = Duration.milliseconds(most)
      let wait = backoff.wait()
      #expect((limit / 2...limit).contains(wait))
    }
    backoff.reset(at: MonotonicTime.now + .seconds(7))
    #expect(backoff.wait() <= .milliseconds(100))
  }

  @Test func `a success that does not last changes nothing`() {
    var backoff = Backoff()
    for _ in 0..<3 {
      _ = backoff.wait()
      backoff.reset()
    }
    #expect(backoff.wait() >= .milliseconds(400))
  }

  @Test func `two processes do not wait equally long`() {
    let waits = Set(
      (0..<20).map { _ in
        var backoff = Backoff()
        return backoff.wait()
      })
    #expect(waits.count > 1)
  }
}
