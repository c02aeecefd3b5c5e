import Synchronization

/// Which shards can send and receive events. Read by reactors, written by the hub.
final class ShardAvailability: Sendable {
  private final class Flag: Sendable {
    let isUp = Atomic<Bool>(false)
  }

  private let flags: [Flag]

  init(count: Int) {
    flags = (0..<count).map { _ in Flag() }
  }

  subscript(shard: Int) -> Bool {
    flags[shard].isUp.load(ordering: .relaxed)
  }

  var isComplete: Bool { flags.indices.allSatisfy { self[$0] } }

  /// Waits until every shard is up, an attempt has failed, or the time is over. Returns whether every shard is up.
  func settle(within time: Duration, unless hasFailed: () -> Bool) async -> Bool {
    let deadline = ContinuousClock.now + time
    while !isComplete {
      guard !hasFailed(), ContinuousClock.now < deadline, !Task.isCancelled else { return false }
      // Only at the start, and only for a short time, so checking again and again is good enough.
      _ = try? await Task.sleep(for: .milliseconds(5))
    }
    return true
  }

  /// - Returns: whether this is a change.
  func set(_ shard: Int, isUp: Bool) -> Bool {
    flags[shard].isUp.exchange(isUp, ordering: .relaxed) != isUp
  }
}
