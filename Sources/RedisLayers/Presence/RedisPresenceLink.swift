import Bytes
import ChannelLayers
import JSON
import Logging
import NIOCore
import RedisClient
import Transport

/// Presence on one Redis server: a connection for commands, and one for the notices of the other processes.
///
/// One task writes and reads everything, group by group, so that the state of a group is always consistent.
actor RedisPresenceLink: LinkOwner {
  /// A group in which the sessions of this process have changed.
  struct Changed: SizedRequest {
    var group: String
    // Never refused, however much waits.
    var size: Int { 0 }
  }

  /// A group in which this process has sessions.
  private struct Group {
    /// The sequence number of this process's last change.
    var sequence = 0
    /// Whether Redis has the current state of this process.
    var isWritten = false
    /// Whether the state of the other processes was read, and no notice since then was missed.
    var isLoaded = false
    /// Notices that arrived before it was loaded.
    var early: [PresenceMessage] = []
    /// Whether more notices arrived than were kept.
    var hasMissed = false
    /// The number of anonymous sessions as it was written.
    var anonymous = 0

    /// Forgets what is known of the data of Redis, but for the sequence number, which never goes back, and for the number that
    /// was written.
    mutating func forgetRedis() {
      isWritten = false
      isLoaded = false
      early = []
      hasMissed = false
    }
  }

  /// How many notices are kept for a group that is being loaded. With more, they are dropped and the group is loaded once more.
  private static let mostEarly = 1000
  /// For how many groups Redis is asked at a time.
  private static let mostAtOnce = 100
  /// How long a process that Redis has lost may take to write its entries again.
  private static let grace = Duration.seconds(10)
  /// After this many signs of life all entries are written again, so that they do not expire.
  private static let renewal = 1800

  private let alias: String
  private let register: PresenceRegister
  private let table: PresenceTable
  private let requests: RedisRequests<Changed>
  nonisolated private let executor: any SerialExecutor
  private let log: Logger

  private var groups: [String: Group] = [:]
  /// Groups that have to be written, and groups that have to be read.
  private var changed: Set<String> = []
  private var unread: Set<String> = []
  /// Groups that Redis refused to write or read. They wait for the next sign of life.
  private var unwritable: Set<String> = []
  private var unreadable: Set<String> = []
  /// Groups without sessions that Redis still has to remove this process from. Those of the process before are, until sessions are written.
  private var leaving: Set<String>
  let life: RedisLife
  static let beat = PresenceRegister.interval
  private let outage: OutageLog
  /// Up when Redis has confirmed the subscriptions.
  private let link: RedisLink<RedisConnectionPair>
  /// The connection for commands; nil before this process's sign of life is written.
  private var commands: RedisConnection?
  private var lastSequence: Int
  private var hasSignOfLife = false
  private let notes: LayerNotes

  @safe nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  /// - Parameter known: the groups that Redis may have the process before in, which this one goes on for; nil without one.
  init(
    alias: String, connector: RedisConnector, register: PresenceRegister, table: PresenceTable,
    requests: RedisRequests<Changed>, log: Logger, clock: RedisClock = .system,
    resuming known: Set<String>? = nil
  ) {
    self.alias = alias
    // Behind all that the process before can have counted to: the others pass over what is not new.
    lastSequence = known == nil ? 0 : Int(WallClock.secondsSinceEpoch * 1_000_000)
    leaving = known ?? []
    self.register = register
    self.table = table
    self.requests = requests
    executor = connector.eventLoop.executor
    self.log = log
    notes = LayerNotes(of: alias, log: log)
    life = RedisLife(clock: clock)
    outage = OutageLog(
      log,
      start: (
        level: .warning, message: "presence is not shared with other processes",
        metadata: ["layer": "\(alias)", "host": "\(connector.host)"]
      ), end: (level: .notice, message: "presence is shared again", metadata: ["layer": "\(alias)"]))
    link = RedisLink(life, reporting: outage, silence: .seconds(10), clock: clock) {
      try await RedisConnectionPair.connect(connector)
    }
  }

  // MARK: - Life

  func finish() {
    requests.finish()
  }

  func withdraw() async {
    guard let commands else { return }
    do {
      try await register.clear(register.id, on: commands)
    } catch {
      // Another process removes the entries.
      log.debug("presence could not be withdrawn", metadata: ["layer": "\(alias)", "reason": "\(error)"])
    }
  }

  func closeConnections() {
    link.close()
  }

  /// The groups that Redis may have this process in.
  var known: Set<String> { leaving.union(groups.keys) }

  // MARK: - Connections

  /// After every outage everything is written and read again.
  func keepConnections() async {
    await link.keep { connections in
      try await connections.receiver.subscribe { [self] message in
        // The connections are on the event loop that is the actor's executor.
        assumeIsolated { $0.handle(message) }
      }
      hasSignOfLife = false
      // After this, no other process removes what follows.
      _ = try await register.beat(on: connections.commands)
      hasSignOfLife = true
      commands = connections.commands
      forgetWritten()
      // The empty name comes last: when it is confirmed, so are all names before it.
      subscribe(groups.keys + [""])
      requests.wake()
      await connections.waitUntilClosed()
      throw link.refusal ?? .disconnected
    } ended: { _ in
      commands = nil
    }
  }

  /// Redis has confirmed the subscriptions.
  private func arrived() {
    if link.confirm() { outage.close() }
  }

  /// Redis may have lost the entries of this process, and notices of the others may have been missed.
  private func forgetWritten() {
    for name in groups.keys { groups[name]?.forgetRedis() }
    changed.formUnion(groups.keys)
    changed.formUnion(leaving)
  }

  // MARK: - Every sign of life

  func tend(beat: Int) async {
    if let commands { return await tend(commands, isRenewal: beat % Self.renewal == 0) }
    // Members that wait for a list get the presence that is known here.
    for group in changed.union(groups.keys) { table.show(group) }
    requests.wake()
  }

  private func tend(_ commands: RedisConnection, isRenewal: Bool) async {
    do {
      let expected = hasSignOfLife
      hasSignOfLife = false
      let (isKnown, silent) = try await register.beat(on: commands)
      hasSignOfLife = true
      if !isKnown, expected {
        log.warning("Redis was emptied; writing presence again", metadata: ["layer": "\(alias)"])
      }
      if !isKnown || isRenewal {
        forgetWritten()
        unread = Set(groups.keys)
      }
      // After an outage the other processes have time to come back.
      if link.hasBeenUp(for: Self.grace) {
        for id in silent {
          try await register.clear(id, on: commands)
          log.info("the presence of an ended process was removed", metadata: ["process": "\(id)"])
        }
      }
      let now = ContinuousClock.now
      for group in groups.keys { table.removeMissing(from: group, since: now - Self.grace) }
      link.connection?.receiver.post([RESPCommand("PING")])
      link.closeIfSilent()
    } catch {
      notes.write("presence could not be renewed", "\(error)")
      if error.endsConnection { commands.close() }
    }
    // Refused groups are tried again.
    changed.formUnion(unwritable)
    unread.formUnion(unreadable)
    (unwritable, unreadable) = ([], [])
    requests.wake()
  }

  // MARK: - To Redis

  func work() async {
    for await _ in requests.arrivals {
      repeat {
        changed.formUnion(requests.take(atMost: .max).map(\.group))
        guard let commands else {
          keepForLater()
          break
        }
        let (writing, reading) = (changed, unread)
        (changed, unread) = ([], [])
        do {
          try await write(writing, on: commands)
          try await read(reading, on: commands)
        } catch {
          notes.write("presence could not be written", "\(error)")
          // All groups are written and read again once there is a connection.
          changed.formUnion(writing)
          commands.close()
        }
      } while commands != nil && !unread.isEmpty
    }
  }

  /// Without a connection, a group without sessions matters only if Redis may still have this process in it.
  private func keepForLater() {
    for group in changed {
      let isUsed = table.takeChanges(of: group, all: false)?.isUsed ?? false
      groups[group]?.isWritten = false
      if !isUsed, groups[group] == nil, !leaving.contains(group) { changed.remove(group) }
    }
  }

  private func write(_ names: Set<String>, on connection: RedisConnection) async throws(RedisFailure) {
    let writes = names.compactMap { name in
      let changes = takeChanges(of: name)
      return changes.isEmpty ? nil : (group: name, changes: changes)
    }
    for part in writes.parts(of: Self.mostAtOnce) {
      let outcomes = try await Self.together(part) { [register] part throws(RedisFailure) in
        for change in part.changes { try await register.write(change, of: part.group, on: connection) }
      }
      for ((group, _), outcome) in outcomes {
        guard case .failure(let refusal) = outcome else {
          leaving.remove(group)
          continue
        }
        notes.write("presence could not be written", "\(group): \(refusal)")
        // It is tried again with the next sign of life.
        groups[group]?.isWritten = false
        unwritable.insert(group)
        table.show(group)
      }
    }
  }

  /// The changes of a group to write, in parts. Begins or ends the subscription to its notices.
  private func takeChanges(of name: String) -> [PeerChange] {
    let isWritten = groups[name]?.isWritten ?? false
    guard let changes = table.takeChanges(of: name, all: !isWritten), changes.isUsed else {
      let known = groups.removeValue(forKey: name)
      guard known != nil || leaving.contains(name) else { return [] }
      leaving.insert(name)
      unread.remove(name)
      link.connection?.receiver.post([RESPCommand("UNSUBSCRIBE", .init(register.channel(of: name)))])
      let previous = known?.sequence ?? 0
      return [PeerChange(.gone, process: register.id, sequence: nextSequence(), previous: previous)]
    }
    if groups[name] == nil { subscribe([name]) }
    var group = groups[name] ?? Group()
    var parts: [PeerChange] = []
    func add(joined: ArraySlice<ExactText> = [], left: ArraySlice<ExactText> = []) {
      let sequence = nextSequence()
      parts.append(
        PeerChange(
          isWritten || !parts.isEmpty ? .change : .all, process: register.id, sequence: sequence,
          previous: group.sequence, joined: Array(joined), left: Array(left), anonymous: changes.anonymous))
      group.sequence = sequence
    }
    for part in changes.joined.parts(of: PresenceRegister.mostAtOnce) { add(joined: part) }
    for part in changes.left.parts(of: PresenceRegister.mostAtOnce) { add(left: part) }
    if parts.isEmpty, !isWritten || group.anonymous != changes.anonymous { add() }
    group.anonymous = changes.anonymous
    group.isWritten = true
    groups[name] = group
    return parts
  }

  private func nextSequence() -> Int {
    lastSequence += 1
    return lastSequence
  }

  // MARK: - From Redis

  private func subscribe(_ names: [String]) {
    link.connection?.receiver.post(subscriptionsTo: names.map(register.channel(of:)))
  }

  private func handle(_ message: RESPValue) {
    link.heard(message)
    guard let (kind, group, content) = message.announcement(under: register.channelPrefix) else { return }
    if kind == "subscribe", group.isEmpty { return arrived() }
    guard groups[group] != nil else { return }
    switch (kind, content) {
    case ("subscribe", _): readAgain(group)
    case ("message", .bulkString(let bytes)):
      guard let message = PresenceMessage(bytes) else {
        return notes.write("a presence message could not be read", group)
      }
      hear(message, of: group)
    case ("message", _): readAgain(group)
    default: break
    }
  }

  private func readAgain(_ group: String) {
    groups[group]?.isLoaded = false
    unread.insert(group)
    requests.wake()
  }

  private func hear(_ message: PresenceMessage, of group: String) {
    guard message.process != register.id, let known = groups[group] else { return }
    guard known.isLoaded else {
      if known.early.count < Self.mostEarly {
        groups[group]?.early.append(message)
      } else {
        groups[group]?.hasMissed = true
      }
      return
    }
    switch message {
    case .dead(let process): table.remove(process: process, from: group)
    case .change(let change):
      guard table.apply(change, to: group) == .gap else { return }
      readAgain(group)
    }
  }

  private func read(_ names: Set<String>, on connection: RedisConnection) async throws(RedisFailure) {
    for part in Array(names.filter { groups[$0] != nil }).parts(of: Self.mostAtOnce) {
      let outcomes = try await Self.together(part) { [register] group throws(RedisFailure) in
        try await register.read(group, on: connection)
      }
      for (group, outcome) in outcomes where groups[group] != nil {
        switch outcome {
        case .success(let states): load(states, of: group)
        case .failure(let refusal):
          notes.write("presence could not be read", "\(group): \(refusal)")
          unreadable.insert(group)
          table.show(group)
        }
      }
    }
  }

  private func load(_ states: [PeerState], of group: String) {
    table.load(states.filter { $0.process != register.id }, of: group)
    let early = groups[group]?.early ?? []
    let hasMissed = groups[group]?.hasMissed ?? false
    groups[group]?.early = []
    groups[group]?.hasMissed = false
    groups[group]?.isLoaded = true
    for message in early { hear(message, of: group) }
    if hasMissed { readAgain(group) }
  }

  /// The presence in a group without sessions of this process; nil if Redis does not answer.
  func read(_ group: String) async -> PresenceList? {
    guard let commands else { return nil }
    do {
      return PresenceList(try await register.read(group, on: commands))
    } catch {
      notes.write("presence could not be read", "\(group): \(error)")
      return nil
    }
  }

  /// Runs one operation for several groups at a time, in one round trip if it is one command. Throws if Redis refused everything with
  /// the connection.
  private static func together<Input: Sendable, Output: Sendable>(
    _ groups: ArraySlice<Input>,
    _ work: @escaping @Sendable (Input) async throws(RedisFailure) -> Output
  ) async throws(RedisFailure) -> [(Input, Result<Output, RedisFailure>)] {
    let outcomes = await withTaskGroup(of: (Input, Result<Output, RedisFailure>).self) { tasks in
      for group in groups {
        tasks.addTask {
          do throws(RedisFailure) {
            return (group, .success(try await work(group)))
          } catch {
            return (group, .failure(error))
          }
        }
      }
      return await tasks.reduce(into: []) { $0.append($1) }
    }
    for case (_, .failure(let failure)) in outcomes where failure.endsConnection { throw failure }
    return outcomes
  }
}
