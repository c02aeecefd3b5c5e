import ChannelLayers
import RedisClient

/// Joins groups for their first members, and leaves them after their last ones.
extension RedisHub {
  /// The shard that stores the group.
  nonisolated func shard(of group: String) -> Int { placement.shard(of: group) }

  func followChanges() async {
    for await _ in changes.arrivals {
      while case let batch = changes.take(atMost: 1000), !batch.isEmpty, !isStopping {
        var joining: [String] = []
        for change in batch {
          switch change {
          case .wanted(let name, let reactor):
            let isJoined = interest.want(name, on: reactor, shard: shard(of: name))
            if isJoined { answer([reactor], name, .active) } else { joining.append(name) }
          case .unwanted(let name, let reactor): interest.unwant(name, on: reactor, at: .now)
          }
        }
        await join(joining)
      }
    }
  }

  private func join(_ names: [String]) async {
    for (shard, names) in Dictionary(grouping: names, by: shard(of:)) {
      guard shards[shard].commands.isUp else {
        for name in names { refused(name) }
        continue
      }
      await layout.join(names, shard, of: self)
    }
  }

  func joined(_ name: String) {
    answer(interest.settle(name, isJoined: true), name, .active)
  }

  func refused(_ name: String) {
    answer(interest.settle(name, isJoined: false), name, .unavailable)
  }
}
