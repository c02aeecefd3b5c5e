import Synchronization

/// Which shards carry events, both ways; read by reactors, written by the hub.
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

  /// - Returns: whether that is new.
  func set(_ shard: Int, isUp: Bool) -> Bool {
    flags[shard].isUp.exchange(isUp, ordering: .relaxed) != isUp
  }
}
