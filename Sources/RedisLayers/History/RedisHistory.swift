import ChannelLayers
import GatewayConfig
import Logging
import NIOCore
import NIOPosix
import RedisClient
import Transport

/// The histories of a Redis layer's groups. They are streams in Redis, which all processes share. This process has copies for the
/// reactors that have members.
///
/// An event that this process publishes to a recorded group is recorded first. Then it is sent through the layer for other
/// programs, with a mark that tells every gateway that it is recorded. An event of another program arrives through the layer
/// without a mark, at every gateway with members, and the gateway that holds the group's lease records it. Sessions get all these
/// events from the copies. A copy follows the announcements of its stream, and is loaded from the stream if events are missing.
///
/// The actor runs on one event loop. Reactors call `publish` and `change`, and get the results in their mailboxes.
actor RedisHistory: HistoryRecorder, LinkOwner {
  nonisolated let hub: RedisHub
  nonisolated let history: GroupHistory
  nonisolated private let executor: any SerialExecutor
  nonisolated let requests = RedisRequests<RecordRequest>(limit: 20_000, byteLimit: 64 << 20)
  nonisolated let changes = RedisRequests<InterestChange>()
  nonisolated let availability: ShardAvailability

  /// One of a layer's servers. It is up when Redis has answered on both connections and confirmed every subscription.
  struct HistoryShard {
    let outage: OutageLog
    let link: RedisLink<RedisConnectionPair>

    var commands: RedisConnection? { link.connection?.commands }
    var subscriber: RedisConnection? { link.connection?.receiver }
  }

  let shards: [HistoryShard]
  var groups: [String: MirroredGroup] = [:]
  let life: RedisLife
  static let beat = Duration.seconds(1)
  /// What one group asks of Redis. Each is a task of its own, which a stop waits for.
  typealias Errand = @Sendable (isolated RedisHistory) async -> Void

  private let (errands, errand) = AsyncStream<Errand>.makeStream()
  var reactors: [Mailbox<HistoryNews>] = []
  /// Whether a batch of events is being recorded.
  var isRecording = false

  @safe nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  init(
    _ hub: RedisHub, recording history: GroupHistory, reaching servers: [RedisAccess]? = nil,
    on group: MultiThreadedEventLoopGroup, clock: RedisClock = .system
  ) {
    self.hub = hub
    self.history = history
    let servers = servers ?? hub.configuration.accesses
    let loop = group.next()
    executor = loop.executor
    availability = ShardAvailability(count: servers.count)
    life = RedisLife(clock: clock)
    shards = servers.map { [life] in
      let facts: Logger.Metadata = ["layer": "\(hub.alias)", "host": "\($0.host)"]
      let outage = OutageLog(
        hub.log, start: (level: .error, message: "history not available", metadata: facts),
        end: (level: .notice, message: "history available", metadata: facts))
      let connector = RedisConnector($0, eventLoop: loop)
      let link = RedisLink(life, reporting: outage, clock: clock) {
        try await RedisConnectionPair.connect(connector)
      }
      return HistoryShard(outage: outage, link: link)
    }
  }

  // MARK: - From reactors and the layer

  /// Whether every shard is up.
  nonisolated var isAvailable: Bool { availability.isComplete }

  nonisolated func shard(of group: String) -> Int {
    Shard.index(of: group, count: hub.configuration.hosts.count)
  }

  nonisolated func publish(_ request: RecordRequest) -> Undelivered? {
    guard availability[shard(of: request.group)] else { return .unavailable }
    return requests.add(request, waking: .later) ? nil : .backlog
  }

  nonisolated func wake() {
    requests.wake()
  }

  nonisolated func change(_ change: InterestChange) {
    _ = changes.add(change)
  }

  /// The log line for another program's event for which there was no room. It is in no history, and sessions do not get it.
  static let lost = "an event was lost: too many wait to be recorded"

  /// Takes an event that arrived through the layer, if its group keeps a history.
  ///
  /// - Returns: whether sessions get the event from the history.
  func takes(_ event: Event, of group: String, by hub: isolated RedisHub) -> Bool {
    guard event.isRecordable, let limits = history.rules.limits(of: group) else { return false }
    // A gateway has recorded most events that have a mark.
    if let mark = event.recordMark, history.copy(of: group)?.hasHad(epoch: mark.epoch) == true { return true }
    let request = RecordRequest(event: event, group: group, limits: limits, sender: nil)
    if !requests.add(request) { hub.note(Self.lost, group) }
    return true
  }

  // MARK: - Life

  /// Sets the mailboxes of the reactors. Must be called before `run`.
  func connect(to reactors: [Mailbox<HistoryNews>]) {
    self.reactors = reactors
  }

  func work() async {
    await withDiscardingTaskGroup { tasks in
      tasks.addTask { await self.followChanges() }
      tasks.addTask { await self.carryRequests() }
      for await errand in errands { tasks.addTask { await errand(self) } }
    }
  }

  /// Nothing is begun any more once the history is stopping.
  func begin(_ errand: @escaping Errand) {
    self.errand.yield(errand)
  }

  /// Whether nothing is still to be recorded.
  var isSettled: Bool { requests.isEmpty && !isRecording }

  /// Waits until every shard is up, one has failed, or the time is over.
  func waitUntilAvailable(within time: Duration) async {
    _ = await availability.settle(within: time) {
      isStopping || shards.contains(where: \.outage.isOpen)
    }
  }

  /// The waiting events are still recorded. So a stop comes before that of the layer, which carries them for other programs.
  func finish() {
    for shard in shards.indices { _ = availability.set(shard, isUp: false) }
    changes.finish()
    requests.finish()
    errand.finish()
  }

  /// Releases the leases.
  func withdraw() async {
    await resign(Array(groups.values))
  }

  func closeConnections() {
    for shard in shards { shard.link.close() }
  }

  func tend(beat: Int) async {
    await leaveIdleGroups()
    for shard in shards.indices {
      guard let subscriber = shards[shard].subscriber else { continue }
      if beat % 5 == 0 { subscriber.post([RESPCommand("PING")]) }
      shards[shard].link.closeIfSilent()
      await tendGroups(shard)
    }
  }

  // MARK: - Names

  nonisolated func streamKey(_ group: String) -> String {
    HistoryScript.namePrefix(hub.configuration.prefix) + group
  }
  nonisolated func metaKey(_ group: String) -> String { streamKey(group) + ":meta" }

  /// The lifetime of a history's keys, in seconds. It exceeds that of an event, because a process may be late to extend it.
  nonisolated func life(_ limits: HistoryConfiguration) -> Int { limits.age.wholeSeconds + 15 }
}

// MARK: - Connections

extension RedisHistory {
  func keepConnections() async {
    await withDiscardingTaskGroup { tasks in
      for shard in shards.indices { tasks.addTask { await self.keepConnections(shard) } }
    }
  }

  /// Keeps the connections to one server. After every outage all groups are subscribed to and loaded again.
  private func keepConnections(_ shard: Int) async {
    let link = shards[shard].link
    await link.keep { connections in
      try await connections.receiver.subscribe { [self] message in
        // The connections are on the event loop that is the actor's executor.
        assumeIsolated { $0.take(message, shard) }
      }
      try await HistoryScript.tryRights(on: connections.commands)
      let names = groups.values.filter { $0.shard == shard }.map(\.name)
      // The channel without a group comes last. When Redis has confirmed it, all others are confirmed, too.
      subscribe(names + [""], shard)
      await connections.waitUntilClosed()
      throw link.refusal ?? .disconnected
    } ended: { _ in
      lost(shard)
    }
  }

  /// Redis has confirmed all subscriptions.
  private func arrived(_ shard: Int) {
    guard !isStopping, shards[shard].link.confirm() else { return }
    _ = availability.set(shard, isUp: true)
    shards[shard].outage.close()
  }

  private func lost(_ shard: Int) {
    _ = availability.set(shard, isUp: false)
    for group in groups.values where group.shard == shard {
      group.isActive = false
      group.recordsUntil = nil
      answer(group, .unavailable)
    }
  }

  func subscribe(_ names: [String], _ shard: Int) {
    shards[shard].subscriber?.post(subscriptionsTo: names.map(streamKey))
  }

  private func take(_ message: RESPValue, _ shard: Int) {
    shards[shard].link.heard(message)
    guard let (kind, name, content) = message.announcement(under: streamKey("")) else { return }
    if kind == "subscribe", name.isEmpty { return arrived(shard) }
    guard let group = groups[name] else { return }
    switch kind {
    case "subscribe": startLoading(group)
    case "message": announced(content, group)
    default: break
    }
  }
}
