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

  struct HistoryShard {
    let connector: RedisConnector
    var commands: RedisConnection?
    var subscriber: RedisConnection?
    var lastHeard = MonotonicTime.now
    var isOutageLogged = false
    /// Whether Redis has answered on both connections, and taken every subscription.
    var isUp = false
    /// Why Redis would not take a subscription.
    var refusal: RedisFailure?
  }

  var shards: [HistoryShard]
  var groups: [String: MirroredGroup] = [:]
  private(set) var isStopping = false
  var reactors: [Mailbox<HistoryNews>] = []
  private var connecting: Task<Void, Never>?
  private var working: Task<Void, Never>?
  private var ticking: Task<Void, Never>?

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
    shards = configuration.hosts.map {
      HistoryShard(connector: RedisConnector(host: $0, eventLoop: loop))
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

  /// Makes the reactors known; before `run`.
  package func connect(to reactors: [Mailbox<HistoryNews>]) {
    self.reactors = reactors
  }

  /// Keeps going until `stop`.
  package func run() async {
    guard !isStopping else { return }
    let connecting = Task { await keepConnections() }
    let working = Task { await work() }
    let ticking = Task { await tick() }
    (self.connecting, self.working, self.ticking) = (connecting, working, ticking)
    await connecting.value
    await working.value
    await ticking.value
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
      !shards.contains(where: \.isOutageLogged)
    {
      // A few milliseconds, once at the start; nobody needs to be told more often.
      _ = try? await Task.sleep(for: .milliseconds(5))
    }
  }

  /// Records what waits, lets others record from now on, and ends `run`. Before the layer is stopped, which carries the copies.
  package func stop(within time: Duration) async {
    guard !isStopping else { return }
    isStopping = true
    for shard in shards.indices { _ = availability.set(shard, isUp: false) }
    let deadline = Task {
      guard (try? await Task.sleep(for: time)) != nil else { return }
      for shard in shards { shard.commands?.close() }
    }
    connecting?.cancel()
    ticking?.cancel()
    changes.finish()
    requests.finish()
    await working?.value
    await ticking?.value
    await resign(Array(groups.values))
    deadline.cancel()
    for shard in shards {
      shard.commands?.close()
      shard.subscriber?.close()
    }
  }

  private func tick() async {
    var beat = 0
    while !isStopping {
      _ = try? await Task.sleep(for: .seconds(1))
      guard !isStopping else { return }
      beat += 1
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
  private static let silence = Duration.seconds(15)

  private func keepConnections() async {
    await withDiscardingTaskGroup { tasks in
      for shard in shards.indices { tasks.addTask { await self.keepConnections(shard) } }
    }
  }

  /// Two connections that live and end together: after every outage the groups are subscribed to anew, and then loaded.
  private func keepConnections(_ shard: Int) async {
    var backoff = Backoff()
    while !isStopping {
      do {
        let commands = try await shards[shard].connector.connect()
        shards[shard].commands = commands
        let subscriber = try await shards[shard].connector.connect()
        shards[shard].subscriber = subscriber
        guard !isStopping else { break }
        shards[shard].refusal = nil
        shards[shard].lastHeard = .now
        try await subscriber.subscribe { [self] message in
          assumeIsolated { $0.take(message, shard) }
        }
        try await HistoryScript.tryRights(on: commands)
        let names = groups.values.filter { $0.shard == shard }.map(\.name)
        // The one without a group comes last: when it is confirmed, so is everything before it.
        subscribe(names + [""], shard)
        await withDiscardingTaskGroup { tasks in
          tasks.addTask {
            await commands.waitUntilClosed()
            subscriber.close()
          }
          await subscriber.waitUntilClosed()
          commands.close()
        }
        throw shards[shard].refusal ?? .disconnected
      } catch {
        report(error, shard)
      }
      // A connection that is accepted and then refused what it is for is no success.
      if shards[shard].isUp, shards[shard].refusal == nil { backoff.reset() }
      lost(shard)
      guard !isStopping else { return }
      _ = try? await Task.sleep(for: backoff.wait())
    }
  }

  /// Redis has confirmed what was subscribed to.
  private func arrived(_ shard: Int) {
    guard !isStopping, !shards[shard].isUp else { return }
    shards[shard].isUp = true
    _ = availability.set(shard, isUp: true)
    guard shards[shard].isOutageLogged else { return }
    shards[shard].isOutageLogged = false
    hub.log.notice(
      "history available",
      metadata: ["layer": "\(hub.alias)", "host": "\(shards[shard].connector.host)"])
  }

  private func lost(_ shard: Int) {
    shards[shard].isUp = false
    _ = availability.set(shard, isUp: false)
    shards[shard].commands?.close()
    shards[shard].subscriber?.close()
    shards[shard].commands = nil
    shards[shard].subscriber = nil
    for group in groups.values where group.shard == shard {
      group.isActive = false
      group.recordsUntil = nil
      answer(group, .unavailable)
    }
  }

  private func report(_ failure: any Error, _ shard: Int) {
    guard !isStopping, !shards[shard].isOutageLogged else { return }
    shards[shard].isOutageLogged = true
    hub.log.error(
      "history not available",
      metadata: [
        "layer": "\(hub.alias)", "host": "\(shards[shard].connector.host)", "reason": "\(failure)",
      ])
  }

  func subscribe(_ names: [String], _ shard: Int) {
    guard let subscriber = shards[shard].subscriber else { return }
    for start in stride(from: 0, to: names.count, by: 250) {
      let part = names[start..<min(start + 250, names.count)].map { RESPArgument(streamKey($0)) }
      subscriber.post([RESPCommand("SUBSCRIBE", part)])
    }
  }

  private func take(_ message: RESPValue, _ shard: Int) {
    shards[shard].lastHeard = .now
    if case .error(let fault) = message {
      shards[shard].refusal = .refused(RedisRefusal(fault))
      shards[shard].subscriber?.close()
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
      if shards[shard].lastHeard + Self.silence < .now { subscriber.close() }
      await tendGroups(shard)
    }
  }
}
