import GatewayConfig
import Logging
import NIOCore
package import NIOPosix
import Synchronization
package import Transport

/// The histories of a Redis layer's groups: streams in Redis, which are the truth for all processes, and copies of them here for
/// the reactors that have members.
///
/// What this process publishes to a recorded group is recorded first, and then goes through the layer for other programs, with a
/// mark by which every gateway knows that it has it already. What other programs publish comes through the layer without
/// a mark to every gateway with members, and the one that holds the group's lease records it. Sessions get all of it from the
/// copies, which follow the announcements of the streams, and are loaded from there whenever something is missing.
///
/// Runs on one event loop; reactors reach it by `publish` and `change`, and are answered in their mailboxes.
package actor RedisHistory: HistoryRecorder {

  nonisolated let configuration: RedisLayerConfiguration
  nonisolated let hub: RedisHub
  nonisolated let history: GroupHistory
  nonisolated private let executor: any SerialExecutor
  nonisolated let requests = RedisRequests<RecordRequest>(limit: 20_000, byteLimit: 64 << 20)
  nonisolated let changes = RedisRequests<InterestChange>(limit: .max, byteLimit: .max)
  nonisolated let availability: ShardAvailability

  /// One of a layer's servers. It is up when Redis has answered on both connections, and taken every subscription.
  struct HistoryShard {
    let outage: OutageLog
    let link: RedisLink<RedisConnectionPair>

    var commands: RedisConnection? { link.connection?.commands }
    var subscriber: RedisConnection? { link.connection?.receiver }
  }

  let shards: [HistoryShard]
  var groups: [String: MirroredGroup] = [:]
  private let life = RedisLife()
  var reactors: [Mailbox<HistoryNews>] = []

  @safe package nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  package init(_ hub: RedisHub, recording history: GroupHistory, on group: MultiThreadedEventLoopGroup) {
    self.hub = hub
    self.history = history
    configuration = hub.configuration
    let loop = group.next()
    executor = loop.executor
    availability = ShardAvailability(count: configuration.hosts.count)
    shards = configuration.hosts.map { [life] in
      let facts: Logger.Metadata = ["layer": "\(hub.alias)", "host": "\($0)"]
      let outage = OutageLog(
        hub.log, start: .init(level: .error, message: "history not available", metadata: facts),
        end: .init(level: .notice, message: "history available", metadata: facts))
      let connector = RedisConnector(host: $0, eventLoop: loop)
      let link = RedisLink(life, reporting: outage) { try await RedisConnectionPair.connect(connector) }
      return HistoryShard(outage: outage, link: link)
    }
  }

  // MARK: - From reactors and the layer

  /// Whether every shard is there.
  package nonisolated var isAvailable: Bool { availability.isComplete }

  nonisolated func shard(of group: String) -> Int {
    Shard.index(of: group, count: configuration.hosts.count)
  }

  package nonisolated func publish(_ request: RecordRequest) -> Undelivered? {
    guard availability[shard(of: request.group)] else {
      hub.counters.undelivered.add(1, ordering: .relaxed)
      return .unavailable
    }
    guard requests.add(request) else {
      hub.counters.undelivered.add(1, ordering: .relaxed)
      return .backlog
    }
    return nil
  }

  package nonisolated func change(_ change: InterestChange) {
    _ = changes.add(change)
  }

  /// What an event of another program is that found no room: it is in no history, and sessions do not get it.
  static let lost = "an event was lost: too many wait to be recorded"

  /// An event that the layer brought.
  ///
  /// - Returns: whether it is for the history, so that sessions get it from there.
  func takes(_ event: Event, of group: String, by hub: isolated RedisHub) -> Bool {
    guard event.isRecordable, let limits = history.rules.limits(of: group) else { return false }
    // Most marked events are what a gateway has recorded in this group.
    if let mark = event.recordMark, history.copy(of: group)?.hasHad(epoch: mark.epoch) == true { return true }
    let request = RecordRequest(event: event, group: group, limits: limits, source: .foreign)
    if !requests.add(request) {
      hub.counters.undelivered.add(1, ordering: .relaxed)
      hub.note(Self.lost, group)
    }
    return true
  }

  // MARK: - Life

  var isStopping: Bool { life.isStopping }

  /// Makes the reactors known; before `run`.
  package func connect(to reactors: [Mailbox<HistoryNews>]) {
    self.reactors = reactors
  }

  /// Keeps going until `stop`.
  package func run() async {
    await life.run(
      keep: { await self.keepConnections() }, work: { await self.work() }, beat: { await self.tick() })
  }

  private func work() async {
    await withDiscardingTaskGroup { tasks in
      tasks.addTask { await self.followChanges() }
      tasks.addTask { await self.carryRequests() }
    }
  }

  /// Waits while `run` gets going.
  package func waitUntilAvailable(within time: Duration) async {
    let deadline = ContinuousClock.now + time
    while !isAvailable, ContinuousClock.now < deadline, !isStopping, !Task.isCancelled,
      !shards.contains(where: \.outage.isOpen)
    {
      // A few milliseconds, once at the start; nobody needs to be told more often.
      _ = try? await Task.sleep(for: .milliseconds(5))
    }
  }

  /// Records what waits, lets others record from now on, and ends `run`. Before the layer is stopped, which carries the copies.
  package func stop(within time: Duration) async {
    await life.stop(within: time) {
      for shard in shards.indices { _ = availability.set(shard, isUp: false) }
      changes.finish()
      requests.finish()
    } farewell: {
      await resign(Array(groups.values))
    } close: {
      await self.closeConnections()
    }
  }

  private func closeConnections() async {
    for shard in shards { shard.link.close() }
  }

  private func tick() async {
    await life.beat(every: .seconds(1)) { beat in
      await leaveIdleGroups()
      await tend(beat: beat)
    }
  }

  // MARK: - Names

  nonisolated func streamKey(_ group: String) -> String {
    HistoryScript.namePrefix(configuration.prefix) + group
  }
  nonisolated func metaKey(_ group: String) -> String { streamKey(group) + ":meta" }

  /// Longer than an event lives by what a process may be slow to look after the keys. Seconds.
  nonisolated func life(_ limits: HistoryConfiguration) -> Int { limits.age.wholeSeconds + 15 }
}

// MARK: - Connections

extension RedisHistory {
  private func keepConnections() async {
    await withDiscardingTaskGroup { tasks in
      for shard in shards.indices { tasks.addTask { await self.keepConnections(shard) } }
    }
  }

  /// After every outage the groups are subscribed to anew, and then loaded.
  private func keepConnections(_ shard: Int) async {
    let link = shards[shard].link
    await link.keep { connections in
      try await connections.receiver.subscribe { [self] message in
        assumeIsolated { $0.take(message, shard) }
      }
      try await HistoryScript.tryRights(on: connections.commands)
      let names = groups.values.filter { $0.shard == shard }.map(\.name)
      // The one without a group comes last: when it is confirmed, so is everything before it.
      subscribe(names + [""], shard)
      await connections.waitUntilClosed()
      throw link.refusal ?? .disconnected
    } ended: { _ in
      lost(shard)
    }
  }

  /// Redis has confirmed what was subscribed to.
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
    guard let subscriber = shards[shard].subscriber else { return }
    for start in stride(from: 0, to: names.count, by: 250) {
      let part = names[start..<min(start + 250, names.count)].map { RESPArgument(streamKey($0)) }
      subscriber.post([RESPCommand("SUBSCRIBE", part)])
    }
  }

  private func take(_ message: RESPValue, _ shard: Int) {
    shards[shard].link.heard()
    if case .error(let fault) = message {
      shards[shard].link.refuse(.refused(RedisRefusal(fault)))
    }
    guard case .array(let parts) = message, parts.count == 3, let kind = parts[0].text,
      let channel = parts[1].text, channel.hasPrefix(streamKey(""))
    else { return }
    if kind == "subscribe", channel == streamKey("") { return arrived(shard) }
    guard let group = groups[String(channel.dropFirst(streamKey("").utf8.count))]
    else { return }
    switch kind {
    case "subscribe": startLoading(group)
    case "message": announced(parts[2], group)
    default: break
    }
  }

  /// Called every second.
  private func tend(beat: Int) async {
    for shard in shards.indices {
      guard let subscriber = shards[shard].subscriber else { continue }
      if beat % 5 == 0 { subscriber.post([RESPCommand("PING")]) }
      shards[shard].link.closeIfSilent()
      await tendGroups(shard)
    }
  }
}
