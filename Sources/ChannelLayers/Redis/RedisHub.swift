package import GatewayConfig
package import Logging
import NIOCore
package import NIOPosix
import Synchronization
package import Transport

/// A process's end of a Redis layer: it keeps the connections, remembers who wants which group, and carries events both ways.
///
/// Runs on one event loop. Reactors reach it by `publish` and `change`, and are answered in their mailboxes.
package actor RedisHub {
  package nonisolated let configuration: RedisLayerConfiguration
  nonisolated let alias: String
  nonisolated let identity: RedisIdentity
  nonisolated let register: ProcessRegister
  nonisolated let codec: MessageCodec
  nonisolated let log: Logger
  nonisolated let counters = RedisCounters()
  nonisolated let availability: ShardAvailability
  nonisolated private let executor: any SerialExecutor
  nonisolated let events = RedisRequests<OutgoingEvent>(limit: 20_000, byteLimit: 64 << 20)
  nonisolated let changes = RedisRequests<InterestChange>(limit: .max, byteLimit: .max)

  var shards: [RedisShard]
  var interest = GroupInterest()
  var outgoing = OutgoingQueues()
  var clock = MessageClock()
  private(set) var isStopping = false
  private var reactors: [Mailbox<RedisDelivery>] = []
  /// Takes the events of the groups that keep a history.
  private var history: RedisHistory?
  private var connecting: Task<Void, Never>?
  private var working: Task<Void, Never>?
  private var ticking: Task<Void, Never>?
  private var waking: Task<Void, Never>?
  private var notes = SampledNotes()
  /// Why a shard is not there; nil while none is known to be away.
  package internal(set) var outage: String?

  @safe package nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  package init(
    alias: String, _ configuration: RedisLayerConfiguration, on group: MultiThreadedEventLoopGroup,
    log: Logger
  ) {
    self.alias = alias
    self.configuration = configuration
    self.log = log
    let loop = group.next()
    executor = loop.executor
    identity = RedisIdentity(configuration)
    register = ProcessRegister(configuration, id: identity.id)
    codec = MessageCodec(format: configuration.format, keys: configuration.encryptionKeys)
    availability = ShardAvailability(count: configuration.hosts.count)
    shards = configuration.hosts.map { RedisShard(connector: RedisConnector(host: $0, eventLoop: loop)) }
  }

  // MARK: - From reactors

  /// Whether every shard is there.
  package nonisolated var isAvailable: Bool { availability.isComplete }

  /// Whether the group's events go out and come in: those of its shards are there.
  nonisolated func isAvailable(for group: String) -> Bool {
    guard !availability.isComplete else { return true }
    let isThere = availability[shard(of: group)]
    switch configuration.layout {
    case .core: return isThere && availability[shard(ofQueue: group)]
    case .pubSub: return isThere
    }
  }

  /// - Returns: why the event cannot be taken; nil where it was.
  nonisolated func publish(_ event: OutgoingEvent) -> Undelivered? {
    guard isAvailable(for: event.group) else {
      counters.undelivered.add(1, ordering: .relaxed)
      return .unavailable
    }
    guard events.add(event) else {
      counters.undelivered.add(1, ordering: .relaxed)
      return .backlog
    }
    return nil
  }

  nonisolated func change(_ change: InterestChange) {
    _ = changes.add(change)
  }

  // MARK: - Life

  /// Makes the reactors known; before `run`.
  package func connect(to reactors: [Mailbox<RedisDelivery>], recording history: RedisHistory? = nil) {
    self.reactors = reactors
    self.history = history
  }

  /// Tries each shard once, and whether its user has every right that this layer needs.
  ///
  /// - Returns: what went wrong, or nil where all is well.
  package func firstConnection(for uses: RedisLayerUses) async -> RedisTrial.Failure? {
    let rights = RedisRights(configuration, uses)
    for shard in shards {
      let host = shard.connector.host
      do throws(RedisFailure) {
        if let failure = try await refusal(ofClusterAt: shard.connector, uses) { return failure }
        let missing = try await shard.connector.missing(rights)
        guard !missing.isEmpty else { continue }
        let user = host.credentials.username ?? "default"
        return RedisTrial.Failure(
          text: "\(host): \(missing.sentence(user))",
          hint: "give the user these rights, and try again: \(missing.remedy(user))")
      } catch {
        return RedisTrial.Failure(
          text: "\(host): \(error)", hint: "check hosts, and that Redis runs there")
      }
    }
    return nil
  }

  /// A cluster keeps each key on one of its nodes, and takes no command or script with keys of several: only what is published
  /// reaches all of it.
  private func refusal(
    ofClusterAt connector: RedisConnector, _ uses: RedisLayerUses
  ) async throws(RedisFailure) -> RedisTrial.Failure? {
    guard configuration.layout == .core || uses.history || uses.presence, try await connector.isCluster()
    else {
      return nil
    }
    let isCore = configuration.layout == .core
    return RedisTrial.Failure(
      text: "\(connector.host): this server is a Redis Cluster, which "
        + (isCore ? "the backend redis does not support" : "history and presence do not support"),
      hint: isCore
        ? "use a server that is not a cluster, or backend: redis_pubsub here and RedisPubSubChannelLayer in Django"
        : "use a server that is not a cluster, or remove history and presence")
  }

  /// Waits while `run` gets the layer going; not longer than until a try has failed.
  ///
  /// - Returns: whether it is there.
  package func waitUntilAvailable(within time: Duration) async -> Bool {
    let deadline = ContinuousClock.now + time
    while !isAvailable {
      guard outage == nil, ContinuousClock.now < deadline, !isStopping, !Task.isCancelled else {
        return false
      }
      // A few milliseconds, once at the start; nobody needs to be told more often.
      _ = try? await Task.sleep(for: .milliseconds(5))
    }
    return true
  }

  /// Keeps the layer going until `stop`.
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
      tasks.addTask { await self.carryEvents() }
    }
  }

  /// Takes this process's memberships and queues out of Redis, and ends `run`.
  ///
  /// - Parameter time: how long Redis may take; what it has not done by then another process does.
  package func stop(within time: Duration) async {
    guard !isStopping else { return }
    isStopping = true
    for shard in shards.indices { _ = availability.set(shard, isUp: false) }
    let deadline = Task {
      guard (try? await Task.sleep(for: time)) != nil else { return }
      for shard in shards { shard.commands?.close() }
    }
    // Ends waits and tries to connect; what is being said to Redis goes on.
    connecting?.cancel()
    ticking?.cancel()
    waking?.cancel()
    changes.finish()
    events.finish()
    // What sessions have sent goes out, and nothing is joined any more while everything is left.
    await working?.value
    await ticking?.value
    if configuration.layout == .core { await withdraw() }
    deadline.cancel()
    for shard in shards {
      shard.commands?.close()
      shard.receiver?.close()
    }
  }

  /// Renews memberships, leaves groups, and looks after connections, every second.
  private func tick() async {
    var beat = 0
    while !isStopping {
      _ = try? await Task.sleep(for: .seconds(1))
      guard !isStopping else { return }
      beat += 1
      switch configuration.layout {
      case .core: await tendQueues(beat: beat)
      case .pubSub: tendSubscriptions(beat: beat)
      }
    }
  }

  // MARK: - Events out

  private static let largestBatch = (count: 256, bytes: 8 << 20)

  /// Sends what sessions publish, many at a time: the next events gather while Redis answers for the last ones.
  private func carryEvents() async {
    for await _ in events.arrivals {
      var isEmpty: Bool
      repeat {
        // Some of it may be for sessions here; but it must not wait for ever for a reactor that it may not be for. Meanwhile what is
        // published waits up to its bound, and senders are told of it.
        if let full = overfull, !isStopping { _ = await full.room(within: Self.patienceForRoom) }
        // What found no room goes first, so also without a new event.
        let batch = events.take(atMost: Self.largestBatch.count, bytes: Self.largestBatch.bytes)
        isEmpty = batch.isEmpty
        switch configuration.layout {
        case .core: await publishToQueues(batch)
        case .pubSub: await publishToSubscribers(batch)
        }
      } while !isEmpty
    }
  }

  /// Lets `carryEvents` look again at that time.
  func wakeCarrier(at time: ContinuousClock.Instant) {
    guard !isStopping else { return }
    waking?.cancel()
    waking = Task { [events] in
      guard (try? await Task.sleep(until: time)) != nil else { return }
      events.wake()
    }
  }

  // MARK: - To reactors

  func deliver(_ event: Event, to group: RedisGroup) {
    counters.received.add(1, ordering: .relaxed)
    if let history, history.takes(event, of: group.name, by: self) { return }
    let weight = event.weight
    for reactor in group.reactors { _ = reactors[reactor].post(.toGroup(event, group.name), weight: weight) }
  }

  func deliver(_ event: Event, toAddress local: some StringProtocol) {
    guard let (reactor, member) = SessionAddresses.parse(local), reactor < reactors.count else {
      return stranger()
    }
    counters.received.add(1, ordering: .relaxed)
    _ = reactors[reactor].post(.toMember(event, member), weight: event.weight)
  }

  /// Where too much waits, for a reactor or to be recorded: until there is room, nothing more that could be for it is fetched.
  var overfull: WaitingLoad? {
    if let reactor = reactors.first(where: \.load.isOver) { return reactor.load }
    return history.flatMap { $0.requests.load.isOver ? $0.requests.load : nil }
  }

  func noteHoldingBack(for load: WaitingLoad) {
    if load === history?.requests.load {
      note("Redis is not read until the history has caught up", "\(load.used) bytes wait to be recorded")
    } else {
      note("Redis is not read until a reactor has caught up", "\(load.used) bytes wait for it")
    }
  }

  /// How long a batch of events waits for a reactor that has too much to do.
  private static let patienceForRoom = Duration.seconds(1)

  /// Waits until every reactor has room. A stop does not wait.
  func waitForRoom() async {
    while let full = overfull, !isStopping, !Task.isCancelled {
      noteHoldingBack(for: full)
      await full.room()
    }
  }

  /// Tells the reactors what came of their wish for a group's events.
  func answer(_ reactors: Set<Int>, _ group: String, _ outcome: Subscription) {
    for reactor in reactors { _ = self.reactors[reactor].post(.subscribed(group, outcome)) }
  }

  /// Tells the sender of an event, once, that it did not, or may not have, reached everybody.
  func tell(_ receipt: Receipt, _ reason: Undelivered) {
    guard let sender = receipt.takeSender() else { return }
    switch reason {
    case .unconfirmed: counters.unconfirmed.add(1, ordering: .relaxed)
    // Counted for each message.
    case .full: break
    case .unavailable, .partly, .backlog, .notSerializable: counters.undelivered.add(1, ordering: .relaxed)
    }
    switch sender {
    case .session(let reactor, let member): _ = reactors[reactor].post(.undelivered(reason, member))
    case .outside(let reactor, let ticket):
      _ = reactors[reactor].post(.published(Published(undelivered: reason), ticket: ticket))
    }
  }

  /// Redis has taken all that the event was made into, which whoever waits for it is told; sessions are not.
  func confirm(_ receipt: Receipt) {
    guard receipt.isAwaited, case .outside(let reactor, let ticket)? = receipt.takeSender() else { return }
    _ = reactors[reactor].post(.published(Published(), ticket: ticket))
  }

  func stranger() {
    counters.strangers.add(1, ordering: .relaxed)
  }

  func unreadable(_ fault: String) {
    counters.unreadable.add(1, ordering: .relaxed)
    note("a message from Redis could not be read", fault)
  }

  /// A warning that can come for every message: once a second for each kind, with a count of the others.
  func note(_ message: String, _ detail: String) {
    guard let others = notes.count(message, at: .now) else { return }
    log.warning(
      "\(message)",
      metadata: ["layer": "\(alias)", "detail": "\(detail)", "others": "\(others)"])
  }
}
