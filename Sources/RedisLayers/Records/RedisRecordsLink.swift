import ChannelLayers
import GatewayConfig
import Logging
import NIOCore
import RedisClient
import Transport

/// The records of sessions on one Redis server: writes those of this process, and takes over those of processes that have ended.
///
/// One task writes everything, step by step, while what is asked for meanwhile gathers for the next step.
actor RedisRecordsLink: LinkOwner {
  enum Request: SizedRequest {
    case keep(KeptRecord, OwnRecords.Kept?)
    case drop(String)
    case park(String)
    case rename(String, to: String)
    case begin(TakenRecord.Place, @Sendable (TakenRecord.Beginning) -> Void)
    case finish(TakenRecord.Place)

    // Never refused, however much waits. The register that asks has bounds of its own.
    var size: Int { 0 }
  }

  /// Sessions that live, although another process has taken their lot over.
  private struct Returning {
    var lot: String
    var addresses: [String]
    /// Whether `addresses` are those only whose view may have been told.
    var isReclaimed = false
    var beats = 0
  }

  /// How long a session waits for its record to be kept.
  static let patience = Duration.seconds(2)
  /// The most sessions that ask *connect* again at a time.
  private static let mostAgain = 200
  /// So many signs of life is the other process waited for that tells of sessions which live.
  private static let longestTelling = 60
  /// The records that are read at once are not many more than this.
  private static let leastRoom = 50

  private let alias: String
  private let register: RecordRegister
  private let owner: RedisRecords.Owner
  private let encryption: Fernet?
  nonisolated private let requests = RedisRequests<Request>()
  nonisolated private let executor: any SerialExecutor
  private let log: Logger
  private let notes: LayerNotes
  private let clock: RedisClock
  private let changed: @Sendable (_ isUp: Bool) -> Void

  private var own: OwnRecords
  private var readings: [LotReading] = []
  private var returning: [Returning] = []
  private var beginning: [(TakenRecord.Place, @Sendable (TakenRecord.Beginning) -> Void)] = []
  private var finished: [TakenRecord.Place] = []
  /// Whether nothing of other processes is taken over or read for now, because another program is about to go on with what is here.
  private var isPaused = false
  private var isTending = false
  private var isWriting = false
  let life: RedisLife
  static let beat = Duration.seconds(1)
  private let outage: OutageLog
  private let link: RedisLink<RedisConnection>
  /// Nil before this process's sign of life is written.
  private var commands: RedisConnection?

  @safe nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  init(
    alias: String, connector: RedisConnector, prefix: String, identity: RecordsIdentity,
    resuming state: RecordLots? = nil, keys: [Secret],
    owner: RedisRecords.Owner, log: Logger, clock: RedisClock,
    changed: @escaping @Sendable (_ isUp: Bool) -> Void
  ) {
    self.alias = alias
    let encryption = Fernet(keys: keys)
    own = state.map { OwnRecords(resuming: $0) } ?? OwnRecords(identity)
    register = RecordRegister(prefix: prefix, id: own.identity.id, marks: encryption?.marks ?? [])
    readings = (state?.lots ?? []).filter(\.isTaken).map { lot in
      LotReading(.init(name: lot.name, kind: lot.kind, lastSign: lot.lastSign))
    }
    self.owner = owner
    self.encryption = encryption
    executor = connector.eventLoop.executor
    self.log = log
    self.clock = clock
    self.changed = changed
    notes = LayerNotes(of: alias, log: log)
    life = RedisLife(clock: clock)
    let facts: Logger.Metadata = ["layer": "\(alias)", "host": "\(connector.host)"]
    outage = OutageLog(
      log,
      start: (
        level: .error, message: "sessions cannot be noted in Redis, so their views admit no new ones",
        metadata: facts
      ), end: (level: .notice, message: "sessions can be noted in Redis again", metadata: facts))
    link = RedisLink(life, reporting: outage, clock: clock) { try await connector.connect() }
  }

  /// The name of this process.
  nonisolated var id: String { register.id }

  nonisolated func request(_ request: Request) { _ = requests.add(request) }

  // MARK: - Life

  func finish() { requests.finish() }

  func withdraw() async {
    guard let commands else { return }
    do {
      try await register.leave(on: commands)
    } catch {
      // Another process finds out a little later that this one has ended.
      log.debug("a process could not be withdrawn", metadata: ["layer": "\(alias)", "reason": "\(error)"])
    }
  }

  func closeConnections() { link.close() }

  func settle(_ shard: Int, _ availability: ShardAvailability, within time: Duration) async {
    let deadline = clock.now() + time
    // Only at the start, and only for a short time, so checking again and again is good enough.
    while !availability[shard], !outage.isOpen, !isStopping, clock.now() < deadline {
      try? await Task.sleep(for: .milliseconds(5))
    }
  }

  // MARK: - Handing over

  /// Takes nothing over, until `goOn`.
  func pause() async {
    isPaused = true
    let end = clock.now() + .seconds(1)
    while isTending, clock.now() < end { try? await Task.sleep(for: .milliseconds(1)) }
  }

  func goOn() { isPaused = false }

  /// Whether nothing is left to write.
  var isSettled: Bool {
    own.isEmpty && finished.isEmpty && beginning.isEmpty && !isWriting && !requests.isWaiting
  }

  var handed: RecordLots {
    var handed = own.handed
    handed.lots += readings.filter { !$0.isOwn }.map {
      .init($0.lot.name, of: $0.lot.kind, isTaken: true, lastSign: $0.lot.lastSign)
    }
    return handed
  }

  // MARK: - Connections

  func keepConnections() async {
    await withDiscardingTaskGroup { tasks in
      tasks.addTask { await self.expireWaiting() }
      await link.keep { connection in
        // After this, no other process takes what follows.
        takeRequests()
        note(try await register.beat(own.names + readings.map(\.lot.name), on: connection))
        own.confirmInherited()
        commands = connection
        link.confirm()
        outage.close()
        changed(true)
        requests.wake()
        await connection.waitUntilClosed()
        throw RedisFailure.disconnected
      } ended: { _ in
        commands = nil
        changed(false)
        requests.wake()
      }
      tasks.cancelAll()
    }
  }

  /// A connection may be open, and nothing be answered.
  private func expireWaiting() async {
    while !Task.isCancelled {
      guard (try? await clock.sleep(Self.patience / 4)) != nil else { return }
      own.expire(at: clock.now())
    }
  }

  // MARK: - Requests

  func work() async {
    for await _ in requests.arrivals { await carryRequests() }
    await carryRequests()
    refuseWaiting()
  }

  private func carryRequests() async {
    isWriting = true
    defer { isWriting = false }
    repeat {
      takeRequests()
      guard let commands else {
        // Who comes directly after the end of a connection waits for the next one.
        if outage.isOpen { refuseWaiting() }
        return
      }
      do throws(RedisFailure) {
        try await beginTelling(on: commands)
        try await write(on: commands)
        try await removeFinished(on: commands)
      } catch {
        notes.write("sessions could not be noted in Redis", "\(error)")
        if error.endsConnection { commands.close() }
        // With the next sign of life, or the next connection.
        return
      }
    } while requests.isWaiting
  }

  private func takeRequests() {
    let deadline = clock.now() + Self.patience
    for request in requests.take(atMost: .max) {
      switch request {
      case .keep(let record, let kept): own.keep(record, until: deadline, kept)
      case .drop(let address): own.drop(address)
      case .park(let address):
        own.park(address)
        // One that was read waits there, too.
        dealtWith(address)
      case .rename(let kind, let new):
        own.rename(kind, to: new)
        for index in readings.indices { readings[index].rename(kind, to: new) }
      case .begin(let place, let begun): beginning.append((place, begun))
      case .finish(let place): finished.append(place)
      }
    }
  }

  private func refuseWaiting() {
    own.refuseWaiting()
    for (_, begun) in beginning { begun(.unavailable) }
    beginning = []
  }

  // MARK: - Own records

  private func write(on connection: RedisConnection) async throws(RedisFailure) {
    while let batch = own.next() {
      let now = UInt64(WallClock.secondsSinceEpoch)
      let records = batch.written.map { written in
        let record = written.content.encoded()
        return encryption?.encrypt(record, now: now) ?? record
      }
      do throws(RedisFailure) {
        if try await register.write(batch, records, on: connection) {
          own.wrote(batch)
        } else {
          own.failed(batch)
          note(try await register.beat(own.names + readings.map(\.lot.name), on: connection))
        }
      } catch {
        own.failed(batch)
        throw error
      }
      takeRequests()
    }
  }

  /// What is missing was lost by Redis, or another process has taken it over.
  private func note(_ beat: RecordRegister.Beat) {
    var lost = 0
    for missing in beat.missing {
      readings.removeAll { $0.lot.name == missing.lot }
      let addresses = own.lost(missing.lot)
      guard !addresses.isEmpty else { continue }
      if missing.isTaken {
        returning.append(Returning(lot: missing.lot, addresses: addresses))
      } else {
        lost += addresses.count
      }
    }
    if lost > 0 {
      log.warning(
        "Redis was emptied; noting sessions again",
        metadata: ["layer": "\(alias)", "sessions": "\(lost)"])
    }
    if !own.isEmpty { requests.wake() }
  }

  // MARK: - Every sign of life

  func tend(beat: Int) async {
    isTending = true
    defer {
      isTending = false
      requests.wake()
    }
    guard let commands else { return }
    var silent: [RecordRegister.Silent] = []
    await attempt("the sign of life for sessions could not be given", on: commands) {
      () throws(RedisFailure) in
      let found = try await register.beat(own.names + readings.map(\.lot.name), on: commands)
      note(found)
      silent = found.silent
    }
    guard !isPaused else { return }
    await takeOver(silent, on: commands)
    await attempt("sessions could not be taken back", on: commands) { () throws(RedisFailure) in
      try await comeBack(on: commands)
    }
    await readLots(on: commands)
  }

  /// Does a part of the work. What Redis refuses does not keep the other parts from being done: another program may have written something
  /// under the name of one of the keys.
  private func attempt(
    _ failed: String, on connection: RedisConnection, _ work: () async throws(RedisFailure) -> Void
  ) async {
    do throws(RedisFailure) {
      try await work()
    } catch {
      notes.write(failed, "\(error)")
      if error.endsConnection { connection.close() }
    }
  }

  private func takeOver(_ silent: [RecordRegister.Silent], on connection: RedisConnection) async {
    guard let kinds = owner.owner?.kinds, !kinds.isEmpty else { return }
    for process in silent where process.id != register.id {
      // After an outage the other processes have time to come back.
      guard process.hasLeft || link.hasBeenUp(for: RecordRegister.life) else { continue }
      var lots: [RecordRegister.TakenLot] = []
      await attempt("what a process has left could not be taken over", on: connection) {
        () throws(RedisFailure) in
        lots = try await register.take(process.id, kinds, on: connection)
      }
      guard !lots.isEmpty else { continue }
      readings += lots.map { LotReading($0) }
      log.notice(
        "telling views the ends of sessions of another process",
        metadata: [
          "layer": "\(alias)", "process": "\(process.id)",
          "reason": process.hasLeft ? "it was stopped before they were told" : "it seems to have ended",
        ])
    }
  }

  /// Sessions that live have been taken for ended. What their views were not told yet is taken back; where they may have been told,
  /// *connect* is asked again, once that is over.
  private func comeBack(on connection: RedisConnection) async throws(RedisFailure) {
    for index in returning.indices {
      var back = returning[index]
      if !back.isReclaimed {
        let all = back.addresses.count
        back.addresses = try await register.reclaim(back.addresses, from: back.lot, on: connection)
        back.isReclaimed = true
        tellOfReturn(back.addresses.count, of: all)
      }
      back.beats += 1
      let isOver = back.beats > Self.longestTelling
      if !back.addresses.isEmpty,
        isOver ? true : try await !register.isBeingTold(back.lot, on: connection)
      {
        owner.owner?.wereTaken(Array(back.addresses.prefix(Self.mostAgain)))
        back.addresses.removeFirst(min(Self.mostAgain, back.addresses.count))
      }
      returning[index] = back
    }
    returning.removeAll { $0.isReclaimed && $0.addresses.isEmpty }
  }

  private func tellOfReturn(_ told: Int, of all: Int) {
    log.warning(
      "this process was taken for dead, and another one has begun to tell views the ends of its sessions",
      metadata: [
        "layer": "\(alias)", "sessions": "\(all)", "told": "\(told)",
        "hint":
          "it was stopped, or cut off from Redis; views are asked \"connect\" again for those that were told",
      ])
  }
}

// MARK: - Records of others

extension RedisRecordsLink {
  private func readLots(on connection: RedisConnection) async {
    for (lot, kind) in own.parked where !readings.contains(where: { $0.lot.name == lot }) {
      own.unpark(lot)
      readings.append(LotReading(.init(name: lot, kind: kind, lastSign: nil), isOwn: true))
    }
    await giveBack(on: connection)
    for name in readings.map(\.lot.name) {
      await attempt("the sessions of a process that has ended could not be read", on: connection) {
        () throws(RedisFailure) in try await readLot(name, on: connection)
      }
    }
  }

  /// Lots whose view this process does not ask any more are for others.
  private func giveBack(on connection: RedisConnection) async {
    guard let kinds = owner.owner?.kinds else { return }
    for lot in readings.filter({ !$0.isOwn && !kinds.contains($0.lot.kind) }).map(\.lot) {
      await attempt("what a process has left could not be given back", on: connection) {
        () throws(RedisFailure) in
        try await register.giveBack(lot, on: connection)
        readings.removeAll { $0.lot.name == lot.name }
      }
    }
  }

  private func readLot(_ name: String, on connection: RedisConnection) async throws(RedisFailure) {
    while let reading = readings.first(where: { $0.lot.name == name }), !reading.isAtEnd,
      let room = owner.owner?.room(for: reading.lot.kind), room >= Self.leastRoom
    {
      let (records, next) = try await register.read(
        reading.part, of: name, from: reading.cursor, on: connection)
      guard let index = readings.firstIndex(where: { $0.lot.name == name }) else { return }
      if reading.isOwn { own.found(records.map(\.address), in: name, of: reading.lot.kind) }
      let foreign = records.filter { !reading.isOwn || !own.has($0.address) }
      hand(readings[index].read(foreign, next: next), of: reading.lot)
    }
    guard let index = readings.firstIndex(where: { $0.lot.name == name }), readings[index].isDealtWith
    else { return }
    let isOwn = readings[index].isOwn
    let isOver = isOwn ? true : try await register.end(name, on: connection)
    if isOver {
      readings.removeAll { $0.lot.name == name }
    } else if let index = readings.firstIndex(where: { $0.lot.name == name }) {
      readings[index].startAgain()
    }
  }

  private func hand(
    _ records: [(address: String, content: [UInt8])], of lot: RecordRegister.TakenLot
  ) {
    let now = UInt64(WallClock.secondsSinceEpoch)
    owner.take(
      records.map { record in
        // One that cannot be decrypted is one that cannot be used.
        let content =
          encryption.map { (try? $0.decrypt(record.content, maximumAge: nil, now: now)) ?? [] }
          ?? record.content
        return TakenRecord(
          place: .init(lot: lot.name, address: record.address), kind: lot.kind, content: content,
          lastSign: lot.lastSign)
      })
  }

  private func dealtWith(_ address: String) {
    for index in readings.indices { readings[index].dealtWith(address) }
  }

  private func beginTelling(on connection: RedisConnection) async throws(RedisFailure) {
    let asked = beginning
    beginning = []
    guard !asked.isEmpty else { return }
    let outcomes = await withTaskGroup(of: Begun.self) { [register] tasks in
      for (index, (place, _)) in asked.enumerated() {
        tasks.addTask { await register.begun(place, number: index, on: connection) }
      }
      return await tasks.reduce(into: []) { $0.append($1) }
    }
    for outcome in outcomes {
      let (place, begun) = asked[outcome.number]
      if outcome.beginning == .gone { dealtWith(place.address) }
      begun(outcome.beginning)
    }
    if let failure = outcomes.lazy.compactMap(\.failure).first { throw failure }
  }

  private func removeFinished(on connection: RedisConnection) async throws(RedisFailure) {
    let places = finished
    guard !places.isEmpty else { return }
    try await register.finish(places, on: connection)
    finished.removeFirst(places.count)
    for place in places { dealtWith(place.address) }
  }
}

/// What came of one `begin`.
private struct Begun: Sendable {
  /// Of the place among those that were asked about.
  var number: Int
  var beginning: TakenRecord.Beginning
  var failure: RedisFailure?
}

extension RecordRegister {
  // A value of its own, and not a tuple with a result: what the compiler makes of that, optimised, ends the process.
  fileprivate func begun(
    _ place: TakenRecord.Place, number: Int, on connection: RedisConnection
  ) async -> Begun {
    do throws(RedisFailure) {
      return Begun(number: number, beginning: try await begin(place, on: connection) ? .begun : .gone)
    } catch {
      return Begun(number: number, beginning: .unavailable, failure: error)
    }
  }
}
