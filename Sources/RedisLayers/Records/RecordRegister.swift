import ChannelLayers
import GatewayConfig
import RedisClient
import Transport

/// The records of sessions in one Redis server, as one process sees them. `RecordScript` says how they are laid out.
///
/// It has its own name space: no channel or group can have a ":" in its name.
struct RecordRegister: Sendable {
  /// A process without a sign of life for this long is taken for dead.
  static let life = Duration.seconds(10)
  /// Entries that are not renewed for this long expire. Processes renew them at every sign of life. Seconds.
  static let expiry = 7 * 86_400
  /// How many records are read at a time, roughly.
  private static let page = 50

  private let prefix: String
  let id: String
  /// Of the keys with which records are encrypted, the own one first. They stand behind the kinds of lots, so that nobody takes over what
  /// he cannot read.
  private let marks: [String]

  /// - Parameter marks: empty where nothing is encrypted.
  init(prefix: String, id: String, marks: [String] = []) {
    self.prefix = Self.namePrefix(prefix)
    self.id = id
    self.marks = marks.isEmpty ? [""] : marks.map { ":\($0)" }
  }

  /// The prefix of all keys.
  static func namePrefix(_ prefix: String) -> String { "\(prefix):sluice:views" }

  private var processesKey: String { "\(prefix):processes" }
  private func aliveKey(_ id: String) -> String { "\(prefix):alive:\(id)" }
  private func lotsKey(_ id: String) -> String { "\(prefix):lots:\(id)" }
  private func recordsKey(_ lot: String) -> String { "\(prefix):records:\(lot)" }
  private func begunKey(_ lot: String) -> String { "\(prefix):begun:\(lot)" }

  // MARK: - Signs of life

  struct Beat: Sendable, Equatable {
    /// Whether the last sign of life was still there.
    var isKnown: Bool
    var silent: [Silent] = []
    var missing: [Missing] = []
  }

  /// Another process without a sign of life.
  struct Silent: Sendable, Equatable {
    var id: String
    /// Whether it has said that it ends.
    var hasLeft: Bool
  }

  /// A lot of this process that is gone.
  struct Missing: Sendable, Equatable {
    var lot: String
    /// Whether another process has taken it over. If not, Redis has lost it.
    var isTaken: Bool
  }

  func beat(_ lots: [String], on connection: RedisConnection) async throws(RedisFailure) -> Beat {
    let reply = try await RecordScript.beat.run(
      keys: [processesKey, aliveKey(id), lotsKey(id)],
      [
        .init(id), .init(Int(Self.life / .milliseconds(1))), .init(WallClock.secondsSinceEpoch),
        .init(prefix), .init(Self.expiry),
      ] + lots.map { .init($0) }, on: connection)
    guard case .array(let parts) = reply, parts.count == 3, case .array(let silent) = parts[1],
      case .array(let missing) = parts[2]
    else { throw .unexpectedReply(to: "EVALSHA") }
    return Beat(
      isKnown: parts[0] == .integer(1),
      silent: silent.parts(of: 2).compactMap { pair in
        guard pair.count == 2, let id = pair.first?.text, let time = pair.last?.text else { return nil }
        return Silent(id: id, hasLeft: time.hasSuffix(" left"))
      },
      missing: missing.parts(of: 2).compactMap { pair in
        guard pair.count == 2, let lot = pair.first?.text else { return nil }
        return Missing(lot: lot, isTaken: pair.last == .integer(1))
      })
  }

  /// The process ends. What it leaves is another one's.
  func leave(on connection: RedisConnection) async throws(RedisFailure) {
    _ = try await RecordScript.leave.run(
      keys: [aliveKey(id), processesKey, lotsKey(id)],
      [.init(id), .init(WallClock.secondsSinceEpoch), .init(prefix)], on: connection)
  }

  // MARK: - Own records

  /// - Parameter records: encoded, as they are kept.
  /// - Returns: whether the lot is still this process's.
  func write(
    _ batch: OwnRecords.Batch, _ records: [[UInt8]], on connection: RedisConnection
  ) async throws(RedisFailure) -> Bool {
    var arguments: [RESPArgument] = [
      .init(batch.lot), .init(batch.kind + marks[0]), .init(batch.isNew ? "new" : ""), .init(Self.expiry),
      .init(records.count),
    ]
    for (written, record) in zip(batch.written, records) {
      arguments += [.init(written.address), .init(record)]
    }
    arguments += batch.removed.map { .init($0) }
    let reply = try await RecordScript.write.run(
      keys: [lotsKey(id), recordsKey(batch.lot)], arguments, on: connection)
    return reply == .integer(1)
  }

  /// - Returns: the addresses whose view may have been told by the process that has taken the lot.
  func reclaim(
    _ addresses: [String], from lot: String, on connection: RedisConnection
  ) async throws(RedisFailure) -> [String] {
    var told: [String] = []
    for part in addresses.parts(of: 500) {
      let reply = try await RecordScript.reclaim.run(
        keys: [recordsKey(lot)], part.map { .init($0) }, on: connection)
      guard case .array(let found) = reply, found.count == part.count else {
        throw .unexpectedReply(to: "EVALSHA")
      }
      told += zip(part, found).filter { $1 != .integer(1) }.map(\.0)
    }
    return told
  }

  /// Whether a view is being told just now of records in the lot.
  func isBeingTold(_ lot: String, on connection: RedisConnection) async throws(RedisFailure) -> Bool {
    try await connection.send(RESPCommand("EXISTS", .init(begunKey(lot)))) == .integer(1)
  }

  // MARK: - Records of others

  /// A lot that was another process's.
  struct TakenLot: Sendable, Equatable {
    var name: String
    var kind: String
    /// The last sign of life of the process whose it was first, by that process's clock. Seconds since 1970.
    var lastSign: Double?
  }

  /// Takes over what a process has left of these kinds, unless it is alive, or another process was faster.
  func take(
    _ silent: String, _ kinds: Set<String>, on connection: RedisConnection
  ) async throws(RedisFailure) -> [TakenLot] {
    let reply = try await RecordScript.take.run(
      keys: [aliveKey(silent), lotsKey(silent), processesKey, lotsKey(id), aliveKey(id)],
      [.init(silent), .init(prefix), .init(Self.expiry)] + marked(kinds).map { .init($0) }, on: connection)
    guard case .array(let lots) = reply else { throw .unexpectedReply(to: "EVALSHA") }
    return lots.parts(of: 3).compactMap { parts in
      let texts = parts.compactMap(\.text)
      guard texts.count == 3 else { return nil }
      return TakenLot(
        name: texts[0], kind: String(texts[1].prefix { $0 != ":" }),
        lastSign: Double(texts[2]).flatMap { $0.isFinite ? $0 : nil })
    }
  }

  private func marked(_ kinds: Set<String>) -> [String] {
    kinds.flatMap { kind in marks.map { kind + $0 } }
  }

  /// Leaves a lot that was taken over to other processes again, as if a process that has ended had left it.
  func giveBack(_ lot: TakenLot, on connection: RedisConnection) async throws(RedisFailure) {
    _ = try await RecordScript.giveBack.run(
      keys: [lotsKey(id), lotsKey(Self.nobody(id)), processesKey],
      [.init(lot.name), .init(Self.nobody(id)), .init(WallClock.secondsSinceEpoch), .init(Self.expiry)],
      on: connection)
  }

  /// A process that is none, and has what this one gives back.
  private static func nobody(_ id: String) -> String { "\(id)-back" }

  func begin(_ place: TakenRecord.Place, on connection: RedisConnection) async throws(RedisFailure) -> Bool {
    let reply = try await RecordScript.begin.run(
      keys: [lotsKey(id), recordsKey(place.lot), begunKey(place.lot)],
      [.init(place.lot), .init(place.address)], on: connection)
    return reply == .integer(1)
  }

  func finish(_ places: [TakenRecord.Place], on connection: RedisConnection) async throws(RedisFailure) {
    let commands = places.flatMap { place in
      [begunKey(place.lot), recordsKey(place.lot)].map {
        RESPCommand("HDEL", .init($0), .init(place.address))
      }
    }
    for part in commands.parts(of: 500) { _ = try await connection.send(Array(part)) }
  }

  /// - Returns: whether the lot was empty, and is no more.
  func end(_ lot: String, on connection: RedisConnection) async throws(RedisFailure) -> Bool {
    let reply = try await RecordScript.end.run(
      keys: [lotsKey(id), recordsKey(lot), begunKey(lot)], [.init(lot)], on: connection)
    return reply == .integer(1)
  }

  /// Which part of a lot is read.
  enum Part: Sendable {
    /// What its former owner was telling of when it died.
    case begun
    case records
  }

  /// Some records of a lot, and where to go on; "0" is the end.
  func read(
    _ part: Part, of lot: String, from cursor: String, on connection: RedisConnection
  ) async throws(RedisFailure) -> (records: [(address: String, content: [UInt8])], next: String) {
    let key = part == .begun ? begunKey(lot) : recordsKey(lot)
    let reply = try await connection.send(
      RESPCommand("HSCAN", .init(key), .init(cursor), "COUNT", .init(Self.page)))
    guard case .array(let parts) = reply, parts.count == 2, let next = parts[0].text,
      case .array(let found) = parts[1]
    else { throw .unexpectedReply(to: "HSCAN") }
    let records = found.parts(of: 2).compactMap { pair -> (address: String, content: [UInt8])? in
      guard pair.count == 2, let address = pair.first?.text else { return nil }
      // One that is too long to be read is one that cannot be used.
      guard case .bulkString(let content)? = pair.last else { return (address, []) }
      return (address, content)
    }
    return (records, next)
  }
}
