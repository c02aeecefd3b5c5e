import Synchronization
import Transport

@testable import RedisClient

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
