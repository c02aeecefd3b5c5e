package import GatewayConfig
package import Logging
import NIOCore
package import NIOPosix
package import Synchronization
package import Transport

/// A process's end of a Redis layer: it keeps the connections, remembers who wants which group, and carries events both ways.
///
/// Runs on one event loop. Reactors reach it by `publish` and `change`, and are answered in their mailboxes.
package actor RedisHub {
  package nonisolated let configuration: RedisLayerConfiguration
  nonisolated let alias: String
  nonisolated let identity: RedisIdentity
  nonisolated let codec: MessageCodec
  nonisolated let log: Logger
  nonisolated let counters = RedisCounters()
  nonisolated private let eventLoop: any EventLoop
  nonisolated private let executor: any SerialExecutor
  nonisolated private let events = RedisRequests<OutgoingEvent>(limit: 20_000)
  nonisolated private let changes = RedisRequests<InterestChange>(limit: .max)
  nonisolated private let available = Atomic<Bool>(false)

  var shards: [RedisShard]
  var groups: [String: RedisGroup] = [:]
  /// Core: which group a member of ours stands for.
  var groupsByMember: [String: String] = [:]
  var lastMemberNumber = 0
  var outgoing = OutgoingQueues()
  var clock = MessageClock()
  private var reactors: [Mailbox<RedisDelivery>] = []
  private var isStopping = false
  /// By `firstConnection`.
  private var wasReached = false
  private var isOutageLogged = false
  private var ticking: Task<Void, Never>?
  private var waking: Task<Void, Never>?
  private var notes = SampledNotes()

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
    eventLoop = loop
    executor = loop.executor
    identity = RedisIdentity(configuration)
    codec = MessageCodec(format: configuration.format, keys: configuration.encryptionKeys)
    shards = configuration.hosts.map { RedisShard(connector: RedisConnector(host: $0, eventLoop: loop)) }
  }

  /// Whether every shard is there: events go out and come in.
  package nonisolated var isAvailable: Bool { available.load(ordering: .relaxed) }

  // MARK: - From reactors

  /// - Returns: why the event cannot be taken; nil where it was.
  nonisolated func publish(_ event: OutgoingEvent) -> Undelivered? {
    guard isAvailable else {
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
  package func connect(to reactors: [Mailbox<RedisDelivery>]) {
    self.reactors = reactors
  }

  /// Tries each shard once.
  ///
  /// - Returns: what went wrong, or nil when all are there.
  package func firstConnection() async -> String? {
    for shard in shards.indices {
      do {
        let connection = try await shards[shard].connector.connect()
        connection.close()
      } catch {
        return "\(shards[shard].connector.host): \(error)"
      }
    }
    wasReached = true
    return nil
  }

  /// Waits while `run` gets the layer going; not for one that could not be reached before.
  ///
  /// - Returns: whether it is there.
  package func waitUntilAvailable(within time: Duration) async -> Bool {
    let deadline = ContinuousClock.now + time
    while !isAvailable {
      guard wasReached, ContinuousClock.now < deadline, !isStopping, !Task.isCancelled else { return false }
      // A few milliseconds, once at the start; nobody needs to be told more often.
      _ = try? await Task.sleep(for: .milliseconds(5))
    }
    return true
  }

  /// Keeps the layer going until `stop`.
  package func run() async {
    await withDiscardingTaskGroup { tasks in
      for shard in shards.indices {
        tasks.addTask { await self.keepCommands(shard) }
        tasks.addTask { await self.keepReceiving(shard) }
      }
      tasks.addTask { await self.followChanges() }
      tasks.addTask { await self.carryEvents() }
      tasks.addTask { await self.tick() }
    }
  }

  /// Takes this process's memberships and queues out of Redis, and ends `run`.
  ///
  /// - Parameter time: how long Redis may take; what it has not done by then another process does.
  package func stop(within time: Duration) async {
    guard !isStopping else { return }
    isStopping = true
    available.store(false, ordering: .relaxed)
    let deadline = Task {
      guard (try? await Task.sleep(for: time)) != nil else { return }
      for shard in shards { shard.commands?.close() }
    }
    if configuration.layout == .core { await withdraw() }
    deadline.cancel()
    changes.finish()
    events.finish()
    for shard in shards {
      shard.commands?.close()
      shard.receiver?.close()
      for pause in shard.pauses { pause.cancel() }
    }
    ticking?.cancel()
    waking?.cancel()
  }

  var stops: Bool { isStopping }

  // MARK: - Connections

  /// Holds a connection for commands to the shard, and opens it again when it ends.
  private func keepCommands(_ shard: Int) async {
    var backoff = Backoff()
    while !isStopping {
      do {
        let connection = try await shards[shard].connector.connect()
        guard !isStopping else { return connection.close() }
        shards[shard].commands = connection
        try await joinAgain(shard)
        shards[shard].isJoined = true
        backoff.reset()
        updateAvailability()
        await connection.waitUntilClosed()
        lost(shard)
      } catch {
        shards[shard].commands?.close()
        report(error, shard)
      }
      shards[shard].commands = nil
      shards[shard].isJoined = false
      updateAvailability()
      await pause(backoff.wait(), shard)
    }
  }

  /// Holds the connection that events come in on.
  private func keepReceiving(_ shard: Int) async {
    var backoff = Backoff()
    while !isStopping {
      do {
        let connection = try await shards[shard].connector.connect()
        guard !isStopping else { return connection.close() }
        shards[shard].receiver = connection
        switch configuration.layout {
        case .core: try await receiveQueues(shard, on: connection) { backoff.reset() }
        case .pubSub: try await receiveSubscriptions(shard, on: connection) { backoff.reset() }
        }
      } catch {
        report(error, shard)
      }
      shards[shard].receiver?.close()
      shards[shard].receiver = nil
      shards[shard].isReceiving = false
      updateAvailability()
      await pause(backoff.wait(), shard)
    }
  }

  func receiving(_ shard: Int) {
    shards[shard].isReceiving = true
    updateAvailability()
  }

  private func pause(_ time: Duration, _ shard: Int) async {
    guard !isStopping else { return }
    // A stop does not wait for the pause to be over.
    let pause = Task { _ = try? await Task.sleep(for: time) }
    shards[shard].pauses.append(pause)
    await pause.value
    shards[shard].pauses.removeAll { $0 == pause }
  }

  private func updateAvailability() {
    let isThere = !isStopping && shards.allSatisfy { $0.isJoined && $0.isReceiving }
    guard available.exchange(isThere, ordering: .relaxed) != isThere else { return }
    if isThere {
      isOutageLogged = false
      log.notice("channel layer available", metadata: ["layer": "\(alias)"])
    }
  }

  /// One line for each outage, not for each try.
  private func report(_ failure: any Error, _ shard: Int) {
    guard !isOutageLogged, !isStopping else { return }
    isOutageLogged = true
    log.error(
      "channel layer not available",
      metadata: ["layer": "\(alias)", "host": "\(shards[shard].connector.host)", "reason": "\(failure)"])
  }

  /// The connection for commands has ended: what was sent last may have got lost with it.
  private func lost(_ shard: Int) {
    guard !isStopping else { return }
    report(RedisFailure.disconnected, shard)
    let unconfirmed = shards[shard].recent.takeAll(at: .now)
    counters.unconfirmed.add(unconfirmed.count, ordering: .relaxed)
    for sender in unconfirmed { tell(sender, .unconfirmed) }
  }

  // MARK: - To reactors

  func deliver(_ event: Event, to group: RedisGroup) {
    counters.received.add(1, ordering: .relaxed)
    for reactor in group.reactors { _ = reactors[reactor].post(.toGroup(event, group.name)) }
  }

  func deliver(_ event: Event, toAddress local: some StringProtocol) {
    guard let (reactor, member) = SessionAddresses.parse(local), reactor < reactors.count else {
      counters.strangers.add(1, ordering: .relaxed)
      return
    }
    counters.received.add(1, ordering: .relaxed)
    _ = reactors[reactor].post(.toMember(event, member))
  }

  /// Tells the sender of an event that it did not, or may not have, reached everybody.
  func tell(_ sender: Sender, _ reason: Undelivered) {
    if reason != .unconfirmed { counters.undelivered.add(1, ordering: .relaxed) }
    _ = reactors[sender.reactor].post(.undelivered(reason, sender.member))
  }

  // MARK: - Interest

  private static let linger = Duration.seconds(5)

  /// Joins and leaves groups as members come and go.
  private func followChanges() async {
    for await _ in changes.arrivals {
      while case let batch = changes.take(atMost: 1000), !batch.isEmpty {
        var joining: [String] = []
        for change in batch {
          switch change {
          case .wanted(let name, let reactor):
            if want(name, on: reactor) { joining.append(name) }
          case .unwanted(let name, let reactor): unwant(name, on: reactor)
          }
        }
        await join(joining)
      }
    }
  }

  /// - Returns: whether the group has to be joined first.
  private func want(_ name: String, on reactor: Int) -> Bool {
    if groups[name] == nil {
      lastMemberNumber += 1
      let group = RedisGroup(name, member: "g\(lastMemberNumber)", shard: shard(of: name))
      groups[name] = group
      groupsByMember[group.member] = name
    }
    groups[name]?.reactors.insert(reactor)
    groups[name]?.idleSince = nil
    if groups[name]?.isJoined == true {
      _ = reactors[reactor].post(.subscribed(name, .active))
      return false
    }
    groups[name]?.waiting.insert(reactor)
    return true
  }

  private func unwant(_ name: String, on reactor: Int) {
    groups[name]?.reactors.remove(reactor)
    groups[name]?.waiting.remove(reactor)
    if groups[name]?.reactors.isEmpty == true { groups[name]?.idleSince = .now }
  }

  private func join(_ names: [String]) async {
    for (shard, names) in Dictionary(grouping: names, by: shard(of:)) {
      guard shards[shard].isJoined else {
        for name in names { joined(name, .unavailable) }
        continue
      }
      switch configuration.layout {
      case .core:
        let isDone = await joinQueues(names, shard)
        for name in names { joined(name, isDone ? .active : .unavailable) }
      case .pubSub:
        subscribe(names, shard)
      }
    }
  }

  /// Tells those that wait for the group.
  func joined(_ name: String, _ outcome: Subscription) {
    guard let waiting = groups[name]?.waiting else { return }
    groups[name]?.waiting = []
    if outcome == .active { groups[name]?.isJoined = true }
    for reactor in waiting { _ = reactors[reactor].post(.subscribed(name, outcome)) }
  }

  private func shard(of group: String) -> Int {
    let name =
      switch configuration.layout {
      case .core: group
      case .pubSub: subscriptionName(of: group)
      }
    return Shard.index(of: name, count: shards.count)
  }

  /// The groups that nobody has wanted for a while; they are forgotten.
  func takeIdleGroups() -> [RedisGroup] {
    let now = ContinuousClock.now
    let idle = groups.values.filter { group in
      group.reactors.isEmpty && group.idleSince.map { now - $0 > Self.linger } == true
    }
    for group in idle {
      groups[group.name] = nil
      groupsByMember[group.member] = nil
    }
    return idle
  }

  // MARK: - Events out

  private static let largestBatch = 256

  /// Sends what sessions publish, many at a time: the next events gather while Redis answers for the last ones.
  private func carryEvents() async {
    for await _ in events.arrivals {
      var isEmpty: Bool
      repeat {
        // What found no room goes first, so also without a new event.
        let batch = events.take(atMost: Self.largestBatch)
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
    waking?.cancel()
    waking = Task { [events] in
      guard (try? await Task.sleep(until: time)) != nil else { return }
      events.wake()
    }
  }

  /// A warning that can come for every message: once a second for each kind, with a count of the others.
  func note(_ message: String, _ detail: String) {
    guard let others = notes.count(message, at: .now) else { return }
    log.warning(
      "\(message)",
      metadata: ["layer": "\(alias)", "detail": "\(detail)", "others": "\(others)"])
  }

  /// Renews memberships, leaves groups, and tries again what found no place, a few times a second.
  private func tick() async {
    var beat = 0
    while !isStopping {
      let sleep = Task { _ = try? await Task.sleep(for: .seconds(1)) }
      ticking = sleep
      await sleep.value
      guard !isStopping else { return }
      beat += 1
      switch configuration.layout {
      case .core: await tendQueues(beat: beat)
      case .pubSub: tendSubscriptions(beat: beat)
      }
    }
  }
}

/// One of a layer's servers.
struct RedisShard {
  let connector: RedisConnector
  var commands: RedisConnection?
  var receiver: RedisConnection?
  /// Commands can be sent, and our memberships are there.
  var isJoined = false
  var isReceiving = false
  var recent = RecentEvents()
  var pauses: [Task<Void, Never>] = []
  /// When a subscription brought something.
  var lastHeard = ContinuousClock.now

  init(connector: RedisConnector) {
    self.connector = connector
  }
}

/// A group that members of this process want.
struct RedisGroup {
  let name: String
  /// What our member of the group is called behind the `!`.
  let member: String
  let shard: Int
  /// The reactors that have members of it.
  var reactors: Set<Int> = []
  /// Those of them that wait for the group to be joined.
  var waiting: Set<Int> = []
  var isJoined = false
  var idleSince: ContinuousClock.Instant?

  init(_ name: String, member: String, shard: Int) {
    self.name = name
    self.member = member
    self.shard = shard
  }
}

/// What happened so far in one layer.
package final class RedisCounters: Sendable {
  /// Events from Redis that were for a group or a session of ours.
  package let received = Atomic<Int>(0)
  /// Events that sessions sent and Redis took.
  package let sent = Atomic<Int>(0)
  /// Events that were not sent; their senders were told.
  package let undelivered = Atomic<Int>(0)
  /// Events that Redis took shortly before it went away; their senders were told.
  package let unconfirmed = Atomic<Int>(0)
  /// Messages not put into a queue because it stayed full.
  package let overCapacity = Atomic<Int>(0)
  /// Messages from Redis that could not be read.
  package let unreadable = Atomic<Int>(0)
  /// Messages for channels that are not ours any more.
  package let strangers = Atomic<Int>(0)
}

/// Who sent what Redis took a moment ago.
struct RecentEvents {
  private static let window = Duration.seconds(1)
  private static let most = 65_536
  private var entries: [(time: ContinuousClock.Instant, sender: Sender)] = []
  private var first = 0

  mutating func add(_ sender: Sender, at time: ContinuousClock.Instant) {
    entries.append((time, sender))
    while first < entries.count, time - entries[first].time > Self.window || entries.count - first > Self.most
    {
      first += 1
    }
    guard first > 1024, first * 2 > entries.count else { return }
    entries.removeFirst(first)
    first = 0
  }

  mutating func takeAll(at now: ContinuousClock.Instant) -> [Sender] {
    defer {
      entries = []
      first = 0
    }
    return entries[first...].filter { now - $0.time <= Self.window }.map(\.sender)
  }
}

/// How often something was noted, so that a log has one line a second for it.
struct SampledNotes {
  private static let interval = Duration.seconds(1)
  private var last: [String: (time: ContinuousClock.Instant, others: Int)] = [:]

  /// - Returns: how many were left out before this one, or nil where this one is left out too.
  mutating func count(_ message: String, at now: ContinuousClock.Instant) -> Int? {
    guard let known = last[message], now - known.time < Self.interval else {
      defer { last[message] = (now, 0) }
      return last[message]?.others ?? 0
    }
    last[message]?.others += 1
    return nil
  }
}

/// Times for scores: the wall clock, and never the same twice (channels_redis orders a queue by them).
struct MessageClock {
  private var last = 0.0

  /// Seconds since 1970.
  mutating func next() -> Double {
    // A microsecond is about four steps of a double of this size.
    last = max(Self.now(), last + 0.000_001)
    return last
  }

  static func now() -> Double { WallClock.secondsSinceEpoch }

  private var count = UInt64.random(in: 0...(.max >> 1))

  /// Bytes that make a message unlike every other: a counter, which keeps the order of equal scores, and then chance.
  mutating func uniquePrefix(_ length: Int) -> [UInt8] {
    count += 1
    let counter = (0..<8).map { UInt8(truncatingIfNeeded: count >> (56 - 8 * UInt64($0))) }
    guard length > 8 else { return Array(counter.suffix(length)) }
    return counter + (8..<length).map { _ in UInt8.random(in: 0...255) }
  }
}
