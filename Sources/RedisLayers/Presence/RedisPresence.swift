import ChannelLayers
import GatewayConfig
import Logging
import NIOCore
import NIOPosix
import RedisClient

/// Presence of a Redis layer: this process writes the sessions in its groups into Redis, and reads those of the other processes
/// there.
final class RedisPresence: Sendable {
  let table: PresenceTable
  /// The name of this process for the others.
  let id: String
  private let links: [RedisPresenceLink]

  init(
    alias: String, _ configuration: RedisLayerConfiguration, reaching servers: [RedisAccess]? = nil,
    resuming state: LayerState? = nil, on group: MultiThreadedEventLoopGroup, log: Logger,
    clock: RedisClock = .system
  ) {
    let loop = group.next()
    let requests = configuration.hosts.map { _ in RedisRequests<RedisPresenceLink.Changed>() }
    let table = PresenceTable { group in
      _ = requests[Shard.index(of: group, count: requests.count)].add(.init(group: group))
    }
    self.table = table
    // The first name is that of the process in its groups.
    let known = state.flatMap { $0.names.count > 1 ? $0.names[1] : nil }
    let id = known ?? RedisIdentity.newID()
    self.id = id
    if let state { table.resume(state.presence) }
    let before = state.map { $0.presence.map(\.group) + $0.leaving } ?? []
    let groups = Dictionary(grouping: before) { Shard.index(of: $0, count: requests.count) }
    links = zip(servers ?? configuration.accesses, requests).enumerated().map { shard, pair in
      let (server, requests) = pair
      return RedisPresenceLink(
        alias: alias, connector: RedisConnector(server, eventLoop: loop),
        register: PresenceRegister(prefix: configuration.prefix, database: server.host.database, id: id),
        table: table, requests: requests, log: log, clock: clock,
        resuming: known.map { _ in Set(groups[shard] ?? []) })
    }
  }

  func run() async {
    await withDiscardingTaskGroup { tasks in
      tasks.addTask { await self.table.run() }
      for link in links { tasks.addTask { await link.run() } }
    }
  }

  /// The groups that Redis may have this process in.
  var groups: Set<String> {
    get async {
      var all: Set<String> = []
      for link in links { all.formUnion(await link.known) }
      return all
    }
  }

  /// Removes the entries of this process from Redis, and ends `run`.
  func stop(within time: Duration) async {
    table.stop()
    await withDiscardingTaskGroup { tasks in
      for link in links { tasks.addTask { await link.stop(within: time) } }
    }
  }

  /// The presence in the group, in all processes; nil if Redis does not answer.
  func list(of group: String) async -> PresenceList? {
    if let list = table.list(of: group) { return list }
    return await links[Shard.index(of: group, count: links.count)].read(group)
  }
}
