import GatewayConfig

/// Joins groups for their first members, and leaves them after their last ones.
extension RedisHub {
  /// The shard that stores the group.
  nonisolated func shard(of group: String) -> Int {
    let name =
      switch configuration.layout {
      case .core: group
      case .pubSub: subscriptionName(of: group)
      }
    return Shard.index(of: name, count: configuration.hosts.count)
  }

  func followChanges() async {
    for await _ in changes.arrivals {
      while case let batch = changes.take(atMost: 1000), !batch.isEmpty, !isStopping {
        var joining: [String] = []
        for change in batch {
          switch change {
          case .wanted(let name, let reactor):
            switch interest.want(name, on: reactor, shard: shard(of: name)) {
            case .joined: answer([reactor], name, .active)
            case .join: joining.append(name)
            }
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
      switch configuration.layout {
      case .core: await joinQueues(names, shard)
      case .pubSub: subscribe(names, shard)
      }
    }
  }

  func joined(_ name: String) {
    answer(interest.joined(name), name, .active)
  }

  func refused(_ name: String) {
    answer(interest.refused(name), name, .unavailable)
  }
}
