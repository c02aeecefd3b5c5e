package import ChannelLayers
package import GatewayConfig
package import Logging
package import NIOPosix
import RedisClient
import Synchronization
package import Transport

/// The back end of a layer that is in Redis, in either layout.
package final class RedisBackend: LayerBackend {
  package let alias: String
  private let hub: RedisHub
  private let history: GroupHistory?
  private let recorder: RedisHistory?
  private let redisPresence: RedisPresence?
  private let redisRecords: RedisRecords?
  /// Of all connections to each server.
  private let servers: [RedisAccess]
  private let keepsOrders: Bool
  private let obeysOrders: Bool
  /// By reactor.
  private let reactors = Mutex<[Int: (hub: Mailbox<RedisDelivery>, history: Mailbox<HistoryNews>?)]>([:])

  /// - Parameters:
  ///   - history: nil if no group keeps one.
  ///   - keepsRecords: whether views are told the ends of sessions.
  ///   - keepsOrders: whether orders that hold for a time are expected, so that the right to keep them is needed.
  ///   - state: of the process that this one takes the place of.
  ///   - obeysOrders: whether those that other processes keep are read, if the user has the right to do so.
  package init(
    alias: String, _ configuration: RedisLayerConfiguration, history: GroupHistory?, hasPresence: Bool,
    keepsRecords: Bool = false, keepsOrders: Bool = false, obeysOrders: Bool = false,
    resuming state: LayerState? = nil,
    on group: MultiThreadedEventLoopGroup, log: Logger
  ) {
    self.alias = alias
    self.history = history
    self.keepsOrders = keepsOrders
    self.obeysOrders = obeysOrders
    let servers = configuration.accesses
    self.servers = servers
    let hub = RedisHub(alias: alias, configuration, reaching: servers, resuming: state, on: group, log: log)
    self.hub = hub
    recorder = history.map { RedisHistory(hub, recording: $0, reaching: servers, on: group) }
    redisRecords =
      keepsRecords
      ? RedisRecords(
        alias: alias, configuration, reaching: servers, resuming: state?.records ?? [], on: group, log: log)
      : nil
    redisPresence =
      hasPresence
      ? RedisPresence(
        alias: alias, configuration, reaching: servers, resuming: state, on: group, log: log)
      : nil
  }

  package var isShared: Bool { true }
  package var isAvailable: Bool {
    hub.isAvailable && recorder?.isAvailable ?? true && redisRecords?.isAvailable ?? true
  }
  package var hasPresence: Bool { redisPresence != nil }
  package var records: (any SessionRecords)? { redisRecords }

  package func end(on reactor: Reactor, number: Int) -> LayerEnd {
    let plain = RedisChannelLayer(reactor: reactor, number: number, hub: hub)
    let recording = history.map {
      RecordingChannelLayer(plain, recording: $0, reactor: reactor, number: number, recorder: recorder)
    }
    let mailbox = plain.mailbox(on: reactor)
    reactors.withLock { $0[number] = (mailbox, recording?.end) }
    return LayerEnd(
      layer: recording ?? plain,
      presence: redisPresence.map {
        LocalPresence(reactor: reactor, number: number, table: $0.table, groups: plain.groups)
      })
  }

  package func firstConnection() async -> LayerFailure? {
    await hub.firstConnection(
      for: LayerUses(
        history: history != nil, presence: hasPresence, orders: keepsOrders, records: redisRecords != nil))
  }

  package func run() async {
    let reactors = reactors.withLock { $0 }.sorted { $0.key < $1.key }.map(\.value)
    await recorder?.connect(to: reactors.compactMap(\.history))
    await hub.connect(to: reactors.map(\.hub), recording: recorder)
    if keepsOrders || obeysOrders { await hub.expectOrders() }
    await withDiscardingTaskGroup { tasks in
      tasks.addTask { await self.hub.run() }
      tasks.addTask { await self.redisPresence?.run() }
      tasks.addTask { await self.redisRecords?.run() }
      tasks.addTask { await self.recorder?.run() }
    }
  }

  package func state() async -> LayerState {
    var state = LayerState(alias: alias)
    hub.identity.sessions.add(to: &state)
    state.names = [hub.identity.id] + (redisPresence.map { [$0.id] } ?? [])
    state.members = await hub.members
    state.presence = redisPresence?.table.states ?? []
    let groups = Set(state.presence.map(\.group))
    state.leaving = await redisPresence?.groups.subtracting(groups).sorted() ?? []
    state.records = await redisRecords?.handed ?? []
    state.receivers = await hub.handedReceivers
    state.remains = remains
    return state
  }

  package var remains: LayerRemains? {
    var configuration = hub.configuration
    configuration.hosts = servers.map(\.host)
    var remains = LayerRemains(in: alias, configuration)
    // Subscriptions end with their connection.
    if hub.configuration.layout == .core { remains.process = hub.identity.id }
    remains.presence = redisPresence?.id ?? ""
    remains.records = redisRecords?.id ?? ""
    return remains
  }

  package func renewAccess(by configuration: ChannelLayerConfiguration) {
    guard case .redis(let redis) = configuration.backend else { return }
    for (server, host) in zip(servers, redis.hosts) { server.renew(host) }
  }

  package func tellAll() {
    redisPresence?.table.announceNow()
  }

  package func hold() async { await hub.holdReceivers() }

  package var isSettled: Bool {
    get async {
      // The history uses the hub.
      guard await recorder?.isSettled != false, await hub.isSettled else { return false }
      return await redisRecords?.isSettled != false
    }
  }

  package func pause() async {
    await hub.pause()
    await redisRecords?.pause()
  }

  package func goOn() async {
    await hub.goOn()
    await redisRecords?.goOn()
  }

  package func settle(within time: Duration) async {
    await withDiscardingTaskGroup { tasks in
      tasks.addTask { _ = await self.hub.waitUntilAvailable(within: time) }
      tasks.addTask { await self.recorder?.waitUntilAvailable(within: time) }
      tasks.addTask { await self.redisRecords?.waitUntilAvailable(within: time) }
    }
  }

  package func stop(within time: Duration) async {
    // The history goes first, because recording uses the layer, too.
    await recorder?.stop(within: time / 2)
    await withDiscardingTaskGroup { tasks in
      tasks.addTask { await self.hub.stop(within: time) }
      tasks.addTask { await self.redisPresence?.stop(within: time) }
      tasks.addTask { await self.redisRecords?.stop(within: time) }
    }
  }

  package func presence(in group: String) async -> PresenceList? {
    await redisPresence?.list(of: group)
  }

  package func keep(_ order: KeptOrder) async -> Bool { await hub.keep(order) }
  package func forget(orders subjects: [String]) async -> Bool { await hub.forget(orders: subjects) }
  package func keptOrders() async -> [KeptOrder]? { await hub.keptOrders() }
}

extension RedisLayerConfiguration {
  /// In the order of the servers.
  var accesses: [RedisAccess] { hosts.map(RedisAccess.init) }
}
