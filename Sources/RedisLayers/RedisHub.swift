import ChannelLayers
import GatewayConfig
import Logging
import NIOCore
import NIOPosix
import RedisClient
import Transport

/// A process's end of a Redis layer: it keeps the connections, knows which reactors need which groups, and carries events in
/// both directions.
///
/// Runs on one event loop. Reactors call `publish` and `change`, and get the answers in their mailboxes.
actor RedisHub: LinkOwner {
  nonisolated let configuration: RedisLayerConfiguration
  nonisolated let alias: String
  nonisolated let identity: RedisIdentity
  nonisolated let placement: GroupPlacement
  nonisolated let codec: MessageCodec
  nonisolated let log: Logger
  nonisolated let notes: LayerNotes
  nonisolated let availability: ShardAvailability
  /// The reactors with subscribers of each group, for each other.
  nonisolated let ends = GroupEnds<RedisDelivery>()
  nonisolated private let executor: any SerialExecutor
  nonisolated let events = RedisRequests<OutgoingEvent>(limit: 20_000, byteLimit: 64 << 20)
  nonisolated let changes = RedisRequests<InterestChange>()

  var shards: [RedisShard]
  var interest = GroupInterest()
  let layout: any RedisLayout
  let life = RedisLife()
  /// Renews memberships, leaves groups, and checks connections.
  static let beat = Duration.seconds(1)
  private var reactors: [Mailbox<RedisDelivery>] = []
  /// For each reactor, what this turn of the event loop has for it.
  private var bursts: [Mailbox<RedisDelivery>.Burst] = []
  /// Whether the bursts are posted at the end of this turn.
  private var isPostDue = false
  nonisolated private let loop: any EventLoop
  /// The history, which handles the events of groups that keep one.
  private var history: RedisHistory?
  /// Whether no message is fetched for now, and how many fetches are under way all the same.
  var isPaused = false
  var fetches = 0
  /// Whether subscriptions are not read, so that what comes waits in the sockets.
  private(set) var isHeld = false
  /// Batches of events that are being sent.
  private var carrying = 0
  /// Wakes the carrier of events. Cancelled by the next one, and by a stop.
  private var waking: Task<Void, Never>?
  /// Why a shard is not available; nil if no outage is known.
  var outage: String?
  /// Whether orders that hold for a time are read: if Redis lets its user, and there may be some.
  var readsOrders: Bool
  /// Whether the log was told that they cannot be read.
  var areOrdersToldUnreadable = false

  @safe nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  init(
    alias: String, _ configuration: RedisLayerConfiguration, reaching servers: [RedisAccess]? = nil,
    resuming state: LayerState? = nil, on group: MultiThreadedEventLoopGroup, log: Logger
  ) {
    self.alias = alias
    self.configuration = configuration
    self.log = log
    notes = LayerNotes(of: alias, log: log)
    let loop = group.next()
    executor = loop.executor
    self.loop = loop
    identity = RedisIdentity(configuration, resuming: state)
    codec = MessageCodec(format: configuration.format, keys: configuration.encryptionKeys)
    readsOrders = configuration.layout == .core
    switch configuration.layout {
    case .core:
      layout = CoreLayout(configuration, identity)
      placement = GroupPlacement(count: configuration.hosts.count, prefix: "", queues: identity)
    case .pubSub:
      let pubSub = PubSubLayout(configuration, identity)
      layout = pubSub
      placement = GroupPlacement(count: configuration.hosts.count, prefix: pubSub.groupPrefix)
    }
    availability = ShardAvailability(count: configuration.hosts.count)
    for member in state?.members ?? [] { interest.resume(member, shard: placement.shard(of: member.group)) }
    // They are those of the same servers: see `LayerState.place`.
    shards = (servers ?? configuration.accesses).enumerated().map { [life] shard, server in
      RedisShard(
        connector: RedisConnector(server, eventLoop: loop), layer: alias, life: life, log: log,
        receivingOn: state?.receivers[shard])
    }
  }

  // MARK: - From reactors

  /// Whether every shard is available.
  nonisolated var isAvailable: Bool { availability.isComplete }

  /// Whether the group's events can be sent and received, because its shards are available.
  nonisolated func isAvailable(for group: String) -> Bool {
    guard !availability.isComplete else { return true }
    return availability[placement.shard(of: group)] && availability[placement.shard(ofQueue: group)]
  }

  /// - Returns: why the event cannot be accepted; nil if it was.
  nonisolated func publish(
    _ event: OutgoingEvent, waking: RedisRequests<OutgoingEvent>.Waking = .now
  ) -> Undelivered? {
    guard isAvailable(for: event.group) else { return .unavailable }
    return events.add(event, waking: waking) ? nil : .backlog
  }

  nonisolated func change(_ change: InterestChange) {
    _ = changes.add(change)
  }

  // MARK: - Life

  /// Registers the reactors. Must be called before `run`.
  func connect(to reactors: [Mailbox<RedisDelivery>], recording history: RedisHistory? = nil) {
    self.reactors = reactors
    bursts = reactors.map { _ in .init() }
    interest.fold(onto: reactors.count)
    self.history = history
  }

  /// Connects to each shard once, and checks that its user has every right that this layer needs. Returns what went wrong, or nil.
  func firstConnection(for uses: LayerUses) async -> LayerFailure? {
    let rights = RedisRights(configuration, uses)
    for shard in shards {
      let host = shard.connector.host
      do throws(RedisFailure) {
        if let failure = try await refusal(ofClusterAt: shard.connector, uses) { return failure }
        let missing = try await rights.missing(at: shard.connector)
        guard !missing.isEmpty else { continue }
        let user = host.credentials.username ?? "default"
        return LayerFailure(
          text: "\(host): \(missing.sentence(user))",
          hint: "give the user these rights, and try again: \(missing.remedy(user))")
      } catch {
        return LayerFailure(text: "\(host): \(error)", hint: "check hosts, and that Redis runs there")
      }
    }
    return nil
  }

  /// A cluster keeps each key on one of its nodes, and refuses commands and scripts with keys of several nodes. Only published
  /// messages reach all nodes.
  private func refusal(
    ofClusterAt connector: RedisConnector, _ uses: LayerUses
  ) async throws(RedisFailure) -> LayerFailure? {
    let others = LayerFailure(
      text: "history and presence do not support",
      hint: "use a server that is not a cluster, or remove history and presence")
    let views = LayerFailure(
      text: "views that are asked \"disconnect\" do not support",
      hint: "use a server that is not a cluster, or remove \"disconnect\" from \"on\"")
    let objection =
      layout.clusterObjection ?? (uses.records ? views : uses.history || uses.presence ? others : nil)
    guard let objection,
      try await connector.isCluster()
    else { return nil }
    return LayerFailure(
      text: "\(connector.host): this server is a Redis Cluster, which \(objection.text)", hint: objection.hint
    )
  }

  /// Waits until `run` has made the layer available, or an attempt has failed. Returns whether the layer is available.
  func waitUntilAvailable(within time: Duration) async -> Bool {
    await availability.settle(within: time) { outage != nil || isStopping }
  }

  func work() async {
    await withDiscardingTaskGroup { tasks in
      tasks.addTask { await self.followChanges() }
      tasks.addTask { await self.carryEvents() }
    }
  }

  func finish() {
    for shard in shards.indices { _ = availability.set(shard, isUp: false) }
    waking?.cancel()
    changes.finish()
    // Events of sessions are still sent, and no group is joined any more while all groups are left.
    events.finish()
  }

  /// Removes this process's memberships and queues.
  func withdraw() async {
    await layout.withdraw(self)
  }

  func closeConnections() {
    for shard in shards {
      shard.commands.close()
      shard.receiver.close()
    }
  }

  func tend(beat: Int) async {
    await withDiscardingTaskGroup { tasks in
      for shard in shards.indices { tasks.addTask { await self.tend(shard, beat: beat) } }
    }
  }

  private func tend(_ shard: Int, beat: Int) async {
    await layout.tend(shard, beat: beat, of: self)
  }

  // MARK: - Events out

  private static let largestBatch = (count: 256, bytes: 8 << 20)

  /// Sends the events of sessions in batches: the next events gather while Redis answers for the last ones.
  private func carryEvents() async {
    for await _ in events.arrivals {
      var isEmpty: Bool
      repeat {
        // Some of the events may be for sessions here, but they must not wait forever for a reactor that may not need them.
        // Meanwhile events wait up to their bound, and the senders of further ones are notified.
        if let full = overfull, !isStopping { _ = await full.room(within: Self.patienceForRoom) }
        // Events without room go first, so this runs without a new event, too.
        let batch = events.take(atMost: Self.largestBatch.count, bytes: Self.largestBatch.bytes)
        isEmpty = batch.isEmpty
        carrying += 1
        await layout.publish(batch, from: self)
        carrying -= 1
      } while !isEmpty
    }
  }

  /// Lets `carryEvents` run again at that time.
  func wakeCarrier(at time: ContinuousClock.Instant) {
    guard !isStopping else { return }
    waking?.cancel()
    waking = Task { [events] in
      guard (try? await Task.sleep(until: time)) != nil else { return }
      events.wake()
    }
  }

  // MARK: - Before another process

  /// Whether nothing that was published is still to be sent.
  var isSettled: Bool { events.isEmpty && carrying == 0 && layout.isSettled }

  /// What the process that takes this one's place needs.
  var members: [LayerState.Member] { interest.members }

  /// Fetches no more messages: those in the queues of this process wait there.
  func pause() async {
    isPaused = true
    for shard in shards.indices where fetches > 0 { await layout.wake(shard, of: self) }
    let end = ContinuousClock.now + Self.longestFetch
    while fetches > 0, !isStopping, ContinuousClock.now < end {
      try? await Task.sleep(for: .milliseconds(5))
    }
  }

  func goOn() {
    isPaused = false
    guard isHeld else { return }
    isHeld = false
    for shard in shards {
      shard.receiver.heard()
      shard.receiver.connection?.resumeReading()
    }
  }

  /// Reads no more messages of subscriptions: what comes waits in the sockets, for the process that takes this one's place or for
  /// `goOn`.
  func holdReceivers() {
    guard layout.receivesBySubscription else { return }
    isHeld = true
    for shard in shards { shard.receiver.connection?.pauseReading() }
    postBursts()
  }

  /// The connections that are held and that another program can go on with, by shard. It opens others instead of the rest, and misses what
  /// comes meanwhile.
  var handedReceivers: [Int: HandedSocket] {
    guard isHeld else { return [:] }
    var handed: [Int: HandedSocket] = [:]
    for (number, shard) in shards.enumerated() where shard.receiver.isUp {
      handed[number] = shard.receiver.connection?.handedOver()
      guard handed[number] == nil else { continue }
      log.warning(
        "the connection of subscriptions cannot be handed over: events without a history may be missed",
        metadata: ["layer": "\(alias)", "host": "\(shard.connector.host)"])
    }
    return handed
  }

  /// Longer than Redis waits for a message.
  private static let longestFetch = Duration.seconds(6)

  /// Called before each fetch.
  func waitWhilePaused() async {
    while isPaused, !isStopping, !Task.isCancelled { try? await Task.sleep(for: .milliseconds(20)) }
  }

  // MARK: - To reactors

  func deliver(_ event: Event, to group: RedisGroup) {
    if let history, history.takes(event, of: group.name, by: self) { return }
    let weight = event.size
    for reactor in group.reactors { post(.toGroup(event, group.name), to: reactor, weight: weight) }
    guard !group.handed.isEmpty else { return }
    for reactor in group.handed.subtracting(group.reactors) {
      post(.toGroup(event, group.name), to: reactor, weight: weight)
    }
  }

  func deliver(_ event: Event, toAddress local: some StringProtocol) {
    // Of a session of this process that is there no more, or of nobody's.
    guard let member = identity.sessions.member(of: local) else { return }
    let home = Int(member.home)
    if home < reactors.count { post(.toMember(event, member), to: home, weight: event.size) }
    for reactor in identity.sessions.moved.reactors(of: member) where reactor < reactors.count {
      post(.toMember(event, member), to: reactor, weight: event.size)
    }
  }

  /// Posts to a reactor at the end of this turn of the event loop.
  ///
  /// Where processors are few, a reactor runs as soon as it has mail. With a post for each message it would write to its clients for each
  /// few, and not once for all that Redis has sent together: that took a fifth more of the processor.
  private func post(_ delivery: RedisDelivery, to reactor: Int, weight: Int = 0) {
    bursts[reactor].add(delivery, weight: weight)
    guard !isPostDue else { return }
    isPostDue = true
    // The loop is the hub's executor.
    loop.execute { [self] in assumeIsolated { $0.postBursts() } }
  }

  private func postBursts() {
    isPostDue = false
    for index in bursts.indices where !bursts[index].isEmpty {
      reactors[index].post(bursts[index])
      bursts[index] = .init()
    }
  }

  /// The load that is over its bound, of a reactor or of the history. Until there is room, nothing more is fetched that could
  /// be for it.
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

  /// How long a batch of events waits for an overloaded reactor.
  private static let patienceForRoom = Duration.seconds(1)

  /// Waits until every reactor has room. A stop does not wait.
  func waitForRoom() async {
    while let full = overfull, !isStopping, !Task.isCancelled {
      noteHoldingBack(for: full)
      await full.room()
    }
  }

  /// Notifies the reactors of the result of their subscription.
  func answer(_ reactors: Set<Int>, _ group: String, _ outcome: Subscription) {
    for reactor in reactors { post(.subscribed(group, outcome), to: reactor) }
  }

  /// Notifies the sender of an event, once, that the event did not, or may not, have reached everybody.
  func tell(_ receipt: Receipt, _ reason: Undelivered) {
    switch receipt.takeSender() {
    case .session(let reactor, let member): post(.undelivered(reason, member), to: reactor)
    case .outside(let reactor, let ticket):
      post(.published(Published(undelivered: reason), ticket: ticket), to: reactor)
    case nil: break
    }
  }

  /// Redis has stored all messages of the event. A sender that waits for this is notified; sessions are not.
  func confirm(_ receipt: Receipt) {
    guard receipt.isAwaited, case .outside(let reactor, let ticket)? = receipt.takeSender() else { return }
    post(.published(Published(), ticket: ticket), to: reactor)
  }

  /// Decodes a message from Redis. One that cannot be read is noted.
  ///
  /// - Parameters:
  ///   - prefix: how many bytes stand before it.
  ///   - maximumAge: seconds; nil for any age.
  nonisolated func decode(
    _ value: RESPValue, behind prefix: Int = 0, maximumAge: UInt64? = nil
  ) -> IncomingMessage? {
    switch value {
    case .bulkString(let bytes) where bytes.count < prefix: unreadable("it is too short")
    case .bulkString(let bytes):
      do throws(CodecFault) {
        let now = UInt64(MessageClock.now())
        return try codec.decode(Array(bytes[prefix...]), maximumAge: maximumAge, now: now)
      } catch {
        unreadable("\(error)")
      }
    case .oversized(let length): unreadable("it is too long: \(length) bytes")
    case .simpleString, .error, .integer, .null, .array: unreadable("it is not a string")
    }
    return nil
  }

  nonisolated func unreadable(_ fault: String) {
    note("a message from Redis could not be read", fault)
  }

  /// Writes a warning that could come for every message.
  nonisolated func note(_ message: String, _ detail: String) {
    notes.write(message, detail)
  }
}
