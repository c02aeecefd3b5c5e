import Transport

/// The clock of a link to Redis. Tests put one of their own in its place, and so need not wait.
struct RedisClock: Sendable {
  var now: @Sendable () -> MonotonicTime
  /// Throws if the task is cancelled.
  var sleep: @Sendable (Duration) async throws -> Void

  static let system = RedisClock(now: { .now }, sleep: { try await Task.sleep(for: $0) })
}
