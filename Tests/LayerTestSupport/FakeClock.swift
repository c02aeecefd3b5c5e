package import RedisClient
import Synchronization
package import Transport

/// A wait that a test ends.
package struct Nap: Sendable {
  package var duration: Duration
  fileprivate var end: AsyncStream<Void>.Continuation
}

/// A clock that stands still, except that ending a nap moves it by the nap's duration.
package final class FakeClock: Sendable {
  private let time = Mutex(MonotonicTime(nanoseconds: 1 << 60))
  private let naps: AsyncStream<Nap>
  private let begin: AsyncStream<Nap>.Continuation

  package init() {
    (naps, begin) = AsyncStream.makeStream()
  }

  package var clock: RedisClock {
    RedisClock(
      now: { self.now },
      sleep: { duration in
        let (ending, end) = AsyncStream<Void>.makeStream()
        self.begin.yield(Nap(duration: duration, end: end))
        for await _ in ending {}
        try Task.checkCancellation()
      })
  }

  package var now: MonotonicTime { time.withLock { $0 } }

  package func advance(by duration: Duration) {
    time.withLock { $0 = $0 + duration }
  }

  /// The next nap that begins.
  package func nap() async -> Nap? {
    await naps.first { _ in true }
  }

  package func end(_ nap: Nap) {
    advance(by: nap.duration)
    nap.end.finish()
  }
}
