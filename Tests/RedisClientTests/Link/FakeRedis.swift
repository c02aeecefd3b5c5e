import Logging
import Synchronization
import Transport

@testable import RedisClient

/// A wait that a test ends.
struct Nap: Sendable {
  var duration: Duration
  fileprivate var end: AsyncStream<Void>.Continuation
}

/// A clock that stands still, except that ending a nap moves it by the nap's duration.
final class FakeClock: Sendable {
  private let time = Mutex(MonotonicTime(nanoseconds: 1 << 60))
  private let naps: AsyncStream<Nap>
  private let begin: AsyncStream<Nap>.Continuation

  init() {
    (naps, begin) = AsyncStream.makeStream()
  }

  var clock: RedisClock {
    RedisClock(
      now: { self.now },
      sleep: { duration in
        let (ending, end) = AsyncStream<Void>.makeStream()
        self.begin.yield(Nap(duration: duration, end: end))
        for await _ in ending {}
        try Task.checkCancellation()
      })
  }

  var now: MonotonicTime { time.withLock { $0 } }

  func advance(by duration: Duration) {
    time.withLock { $0 = $0 + duration }
  }

  /// The next nap that begins.
  func nap() async -> Nap? {
    await naps.first { _ in true }
  }

  func end(_ nap: Nap) {
    advance(by: nap.duration)
    nap.end.finish()
  }
}

/// A connection to nothing.
final class FakeConnection: KeptConnection {
  private let closed: AsyncStream<Void>
  private let closing: AsyncStream<Void>.Continuation
  private let paused = Mutex(false)
  private let isEnded = Mutex(false)

  init() {
    (closed, closing) = AsyncStream.makeStream()
  }

  var isClosed: Bool { isEnded.withLock { $0 } }
  var isPaused: Bool { paused.withLock { $0 } }

  func pause() { paused.withLock { $0 = true } }
  func resume() { paused.withLock { $0 = false } }

  func close() {
    isEnded.withLock { $0 = true }
    closing.finish()
  }

  /// As the real one, it does not end because its task is cancelled.
  func waitUntilClosed() async {
    await Task { [closed] in for await _ in closed {} }.value
  }
}

/// An attempt to connect, which a test answers.
struct Attempt: Sendable {
  fileprivate var answer: AsyncStream<Result<FakeConnection, RedisFailure>>.Continuation

  func succeed() -> FakeConnection {
    let connection = FakeConnection()
    answer.yield(.success(connection))
    return connection
  }

  func fail(_ failure: RedisFailure) {
    answer.yield(.failure(failure))
  }
}

/// A server to which nobody can connect unless a test lets them.
final class FakeServer: Sendable {
  private let attempts: AsyncStream<Attempt>
  private let begin: AsyncStream<Attempt>.Continuation

  init() {
    (attempts, begin) = AsyncStream.makeStream()
  }

  /// The next attempt to connect.
  func attempt() async -> Attempt? {
    await attempts.first { _ in true }
  }

  func connect() async throws -> FakeConnection {
    let (answers, answer) = AsyncStream<Result<FakeConnection, RedisFailure>>.makeStream()
    begin.yield(Attempt(answer: answer))
    for await result in answers { return try result.get() }
    throw CancellationError()
  }
}

/// Keeps the lines of a log: level, message, and the reason if there is one.
final class LogLines: Sendable {
  private let written = Mutex<[String]>([])

  var all: [String] { written.withLock { $0 } }

  var log: Logger { Logger(label: "test") { _ in Handler(lines: self) } }

  private struct Handler: LogHandler {
    let lines: LogLines
    var logLevel = Logger.Level.trace
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let reason = event.metadata?["reason"].map { ": \($0)" } ?? ""
      lines.written.withLock { $0.append("\(event.level) \(event.message)\(reason)") }
    }
  }
}
