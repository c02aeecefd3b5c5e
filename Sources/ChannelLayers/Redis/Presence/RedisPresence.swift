package import GatewayConfig
package import Logging
import NIOCore
package import NIOPosix

/// Presence of a Redis layer: what this process has in its groups is written down in Redis, and what others have is read there
/// and heard of.
package final class RedisPresence: Sendable {
  package let table: PresenceTable
  private let links: [RedisPresenceLink]

  package init(
    alias: String, _ configuration: RedisLayerConfiguration, on group: MultiThreadedEventLoopGroup,
    log: Logger
  ) {
    let loop = group.next()
    let requests = configuration.hosts.map { _ in
      RedisRequests<RedisPresenceLink.Changed>(limit: .max, byteLimit: .max)
    }
    let table = PresenceTable { group in
      _ = requests[Shard.index(of: group, count: requests.count)].add(.init(group: group))
    }
    self.table = table
    let id = String(UInt64.random(in: 0...(.max)), radix: 16)
    links = zip(configuration.hosts, requests).map { host, requests in
      RedisPresenceLink(
        alias: alias, connector: RedisConnector(host: host, eventLoop: loop),
        register: PresenceRegister(prefix: configuration.prefix, database: host.database, id: id),
        table: table, requests: requests, executor: loop.executor, log: log)
    }
  }

  /// Keeps it going until `stop`.
  package func run() async {
    await withDiscardingTaskGroup { tasks in
      tasks.addTask { await self.table.run() }
      for link in links { tasks.addTask { await link.run() } }
    }
  }

  /// Takes what this process has out of Redis, and ends `run`.
  ///
  /// - Parameter time: how long Redis may take; what it has not done by then another process does.
  package func stop(within time: Duration) async {
    table.stop()
    await withDiscardingTaskGroup { tasks in
      for link in links { tasks.addTask { await link.stop(within: time) } }
    }
  }

  /// Who is in the group, in all processes; nil where Redis does not tell.
  package func list(of group: String) async -> PresenceList? {
    if let list = table.list(of: group) { return list }
    return await links[Shard.index(of: group, count: links.count)].read(group)
  }
}
