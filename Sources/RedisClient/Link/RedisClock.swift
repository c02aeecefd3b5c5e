package import Transport

/// The clock of a link to Redis. Tests put one of their own in its place, and so need not wait.
package struct RedisClock: Sendable {
  package var now: @Sendable () -> MonotonicTime
  /// Throws if the task is cancelled.
  package var sleep: @Sendable (Duration) async throws -> Void

  package init(
    now: @escaping @Sendable () -> MonotonicTime, sleep: @escaping @Sendable (Duration) async throws -> Void
  ) {
    self.now = now
    self.sleep = sleep
  }

  package static let system = RedisClock(now: { .now }, sleep: { try await Task.sleep(for: $0) })
}
