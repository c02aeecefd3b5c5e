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

  /// - Returns: whether this is a change.
  func set(_ shard: Int, isUp: Bool) -> Bool {
    flags[shard].isUp.exchange(isUp, ordering: .relaxed) != isUp
  }
}
