import ChannelLayers
import LayerTestSupport
import NIOCore
import NIOPosix
import RedisClient
import Synchronization
import Testing
import Transport

@testable import GatewayConfig
@testable import RedisLayers

private struct Text: RecordContent {
  var text: String

  func encoded() -> [UInt8] { Array(text.utf8) }
}

/// What a process does with the records that it takes over.
private final class RecordsOwner: SessionRecordsOwner {
  struct State {
    var kinds: Set<String> = ["k"]
    var room = 1000
    var taken: [TakenRecord] = []
    var again: [String] = []
  }

  let state = Mutex(State())

  var kinds: Set<String> { state.withLock { $0.kinds } }
  func room(for kind: String) -> Int { state.withLock { $0.room } }

  func take(_ records: [TakenRecord], from layer: any SessionRecords) {
    state.withLock { $0.taken += records }
  }

  func wereTaken(_ addresses: [String]) { state.withLock { $0.again += addresses } }

  var texts: [String] {
    state.withLock { state in
      state.taken.map { "\($0.place.address)=\(String(decoding: $0.content, as: UTF8.self))" }.sorted()
    }
  }

  var places: [TakenRecord.Place] { state.withLock { $0.taken.map(\.place) } }
  var again: [String] { state.withLock { $0.again.sorted() } }
}

/// A clock that stands still unless a test moves it, although all waits are short. So nothing is over because the machine is slow.
private final class SteppedClock: Sendable {
  fileprivate struct State {
    var now = MonotonicTime.now
    /// How many signs of life may still be given.
    var beats = Int.max
    /// Whether the next one waits for that.
    var isHeld = false
  }

  private let state = Mutex(State())
  private static let step = Duration.milliseconds(2)
  /// Longer waits are for what should not happen.
  private static let longest = Duration.seconds(100)

  var clock: RedisClock {
    RedisClock(
      now: { self.state.withLock { $0.now } },
      sleep: { duration in
        try await Task.sleep(for: duration < Self.longest ? Self.step : duration)
        if duration == RedisRecordsLink.beat { try await self.awaitBeat() }
      })
  }

  private func awaitBeat() async throws {
    defer { state.withLock { $0.isHeld = false } }
    while !state.withLock({ $0.takeBeat() }) { try await Task.sleep(for: Self.step) }
  }

  func pass(_ time: Duration) { state.withLock { $0.now = $0.now + time } }
  func allowBeats(_ count: Int) { state.withLock { $0.beats = count } }

  /// Allows no more beats, and waits until none is under way.
  func stop() async {
    allowBeats(0)
    while !state.withLock({ $0.isHeld }) { try? await Task.sleep(for: Self.step) }
  }
}

extension SteppedClock.State {
  fileprivate mutating func takeBeat() -> Bool {
    isHeld = beats == 0
    if beats > 0, beats < .max { beats -= 1 }
    return !isHeld
  }
}

/// One process with records.
private struct RecordingProcess {
  let records: RedisRecords
  let owner = RecordsOwner()
  let clock = SteppedClock()
  let lines = LogLines()
  let id = RedisIdentity.newID()
  private let running: Task<Void, Never>

  init(_ redis: LocalRedis, _ change: (inout RedisLayerConfiguration) -> Void = { _ in }) async {
    var configuration = RedisLayerConfiguration(layout: .core)
    configuration.hosts = [RedisHost(.unix(path: redis.socket))]
    change(&configuration)
    let records = RedisRecords(
      alias: "default", configuration, as: RecordsIdentity(id: id), on: .singleton, log: lines.log,
      clock: clock.clock)
    self.records = records
    records.connect(to: owner)
    running = Task { await records.run() }
    #expect(await until { records.isAvailable })
    // Long enough for the others to have come back after an outage.
    clock.pass(.seconds(60))
  }

  func keep(_ address: String, _ text: String = "1", kind: String = "k") async -> Bool {
    await withCheckedContinuation { done in
      records.keep(KeptRecord(address: address, kind: kind, content: Text(text: text))) {
        done.resume(returning: $0)
      }
    }
  }

  func begin(_ place: TakenRecord.Place) async -> TakenRecord.Beginning {
    await withCheckedContinuation { done in
      records.begin(place) { done.resume(returning: $0) }
    }
  }

  func stop() async {
    clock.allowBeats(.max)
    await records.stop(within: .seconds(1000))
    await running.value
  }
}

@Suite(.enabled(if: LocalRedis.program != nil))
struct RedisRecordsTests {
  private let redis: LocalRedis
  private let connection: RedisConnection

  init() async throws {
    redis = try LocalRedis()
    connection = try await redis.connection()
  }

  private func say(_ name: String, _ arguments: String...) async throws -> RESPValue {
    try await connection.send(RESPCommand(name, arguments.map { RESPArgument($0) }))
  }

  /// All keys below the prefix, without it.
  private func keys() async throws -> [String] {
    guard case .array(let found) = try await say("KEYS", "asgi:sluice:views:*") else { return [] }
    return found.compactMap { $0.text.map { String($0.dropFirst("asgi:sluice:views:".count)) } }.sorted()
  }

  /// The process does nothing any more, and its sign of life has run out.
  private func silence(_ process: RecordingProcess) async throws {
    await process.clock.stop()
    _ = try await say("DEL", "asgi:sluice:views:alive:\(process.id)")
  }

  @Test func `a record is there from the answer on, until it is dropped`() async throws {
    let one = await RecordingProcess(redis)
    #expect(await one.keep("a", "first"))
    let lot = "records:\(one.id)-0-k"
    #expect(try await say("HGET", "asgi:sluice:views:\(lot)", "a").text == "first")
    one.records.keep(KeptRecord(address: "a", kind: "k", content: Text(text: "second")), nil)
    #expect(await until { (try? await say("HGET", "asgi:sluice:views:\(lot)", "a").text) == "second" })
    #expect(
      try await keys() == ["alive:\(one.id)", "lots:\(one.id)", "processes", lot].sorted())
    one.records.drop("a")
    #expect(await until { (try? await keys().contains(lot)) == false })
    await one.stop()
    #expect(try await keys() == [])
  }

  @Test func `what a killed process leaves is taken over by one other process, and each record once`()
    async throws
  {
    let dead = await RecordingProcess(redis)
    for number in 0..<300 { #expect(await dead.keep("s\(number)", "\(number)")) }
    let (one, other) = (await RecordingProcess(redis), await RecordingProcess(redis))
    try await silence(dead)
    #expect(await until { one.owner.texts.count + other.owner.texts.count == 300 })
    let taker = one.owner.texts.isEmpty ? other : one
    #expect(taker.owner.texts == (0..<300).map { "s\($0)=\($0)" }.sorted())
    let last = taker.owner.state.withLock { $0.taken.first?.lastSign } ?? 0
    #expect(abs(last - WallClock.secondsSinceEpoch) < 60)
    for place in taker.owner.places {
      #expect(await taker.begin(place) == .begun)
      taker.records.finish(place)
    }
    #expect(
      await until {
        (try? await keys().contains { $0.contains(dead.id) && !$0.hasPrefix("taken:") }) == false
      })
    #expect(one.owner.texts.count + other.owner.texts.count == 300)
    for process in [one, other, dead] { await process.stop() }
  }

  @Test func `who takes over and dies is taken over in turn, with what it had begun`() async throws {
    let dead = await RecordingProcess(redis)
    for address in ["a", "b", "c"] { #expect(await dead.keep(address)) }
    let first = await RecordingProcess(redis)
    try await silence(dead)
    try #require(await until { first.owner.texts.count == 3 })
    let places = first.owner.places.sorted { $0.address < $1.address }
    #expect(await first.begin(places[0]) == .begun)
    #expect(await first.begin(places[1]) == .begun)
    first.records.finish(places[1])
    #expect(
      await until { (try? await say("HGET", "asgi:sluice:views:begun:\(places[1].lot)", "b")) == .null })
    let second = await RecordingProcess(redis)
    try await silence(first)
    #expect(await until { second.owner.texts == ["a=1", "c=1"] })
    #expect(second.owner.state.withLock { $0.taken.allSatisfy { $0.lastSign != nil } })
    // The one that has lost it may not go on.
    #expect(await first.begin(places[2]) == .gone)
    for place in second.owner.places { #expect(await second.begin(place) == .begun) }
    for process in [second, first, dead] { await process.stop() }
  }

  @Test func `a process that comes back takes back what was not told, and asks again for the rest`()
    async throws
  {
    let back = await RecordingProcess(redis)
    for address in ["a", "b", "c"] { #expect(await back.keep(address)) }
    let taker = await RecordingProcess(redis)
    try await silence(back)
    try #require(await until { taker.owner.texts.count == 3 })
    let places = taker.owner.places.sorted { $0.address < $1.address }
    // The view was told of one, and is being told of another one.
    #expect(await taker.begin(places[0]) == .begun)
    taker.records.finish(places[0])
    #expect(await taker.begin(places[1]) == .begun)
    // Not so many that it gives up waiting for the other one.
    back.clock.allowBeats(30)
    let old = "asgi:sluice:views:records:\(back.id)-0-k"
    #expect(await until { (try? await say("EXISTS", old)) == .integer(0) })
    #expect(await taker.begin(places[2]) == .gone)
    let lot = "asgi:sluice:views:records:\(back.id)-1-k"
    #expect(await until { (try? await say("HLEN", lot)) == .integer(3) })
    #expect(back.owner.again == [])
    taker.records.finish(places[1])
    back.clock.allowBeats(.max)
    #expect(await until { back.owner.again == ["a", "b"] })
    #expect(back.lines.all.contains { $0.contains("this process was taken for dead") })
    for process in [back, taker] { await process.stop() }
    #expect(back.owner.again == ["a", "b"])
  }

  @Test func `after Redis has lost everything the records are written again, and nobody asks again`()
    async throws
  {
    let one = await RecordingProcess(redis)
    for address in ["a", "b"] { #expect(await one.keep(address)) }
    _ = try await say("FLUSHALL")
    #expect(
      await until { (try? await say("HLEN", "asgi:sluice:views:records:\(one.id)-1-k")) == .integer(2) })
    #expect(await one.keep("c"))
    #expect(await until { one.lines.all.contains { $0.contains("Redis was emptied") } })
    await one.stop()
    #expect(one.owner.again == [])
  }

  @Test func `a record of another kind is left to who serves that`() async throws {
    let dead = await RecordingProcess(redis)
    #expect(await dead.keep("a"))
    #expect(await dead.keep("b", kind: "other"))
    let (one, other) = (await RecordingProcess(redis), await RecordingProcess(redis))
    one.owner.state.withLock { $0.kinds = [] }
    other.owner.state.withLock { $0.kinds = ["other"] }
    try await silence(dead)
    #expect(await until { other.owner.texts == ["b=1"] })
    one.owner.state.withLock { $0.kinds = ["k"] }
    #expect(await until { one.owner.texts == ["a=1"] })
    for process in [one, other, dead] { await process.stop() }
  }

  @Test func `what was taken over is another one's where its route has gone`() async throws {
    let dead = await RecordingProcess(redis)
    for address in ["a", "b"] { #expect(await dead.keep(address)) }
    let (one, other) = (await RecordingProcess(redis), await RecordingProcess(redis))
    other.owner.state.withLock { $0.kinds = [] }
    try await silence(dead)
    try #require(await until { one.owner.texts.count == 2 })
    let places = one.owner.places.sorted { $0.address < $1.address }
    #expect(await one.begin(places[0]) == .begun)
    one.records.finish(places[0])
    #expect(
      await until { (try? await say("HGET", "asgi:sluice:views:begun:\(places[0].lot)", "a")) == .null })
    one.owner.state.withLock { $0.kinds = ["another"] }
    other.owner.state.withLock { $0.kinds = ["k"] }
    #expect(await until { other.owner.texts == ["b=1"] })
    #expect(other.owner.state.withLock { $0.taken.first?.lastSign } != nil)
    #expect(await one.begin(places[1]) == .gone)
    for place in other.owner.places {
      #expect(await other.begin(place) == .begun)
      other.records.finish(place)
    }
    #expect(
      await until {
        (try? await keys().contains { $0.contains(places[1].lot) && !$0.hasPrefix("taken:") }) == false
      })
    for process in [one, other, dead] { await process.stop() }
  }

  @Test func `what a stop leaves is told by another process, also by one that starts later`() async throws {
    let stopped = await RecordingProcess(redis)
    #expect(await stopped.keep("a", "ended"))
    await stopped.stop()
    let next = await RecordingProcess(redis)
    #expect(await until { next.owner.texts == ["a=ended"] })
    await next.stop()
  }

  @Test func `records without room in memory stay in Redis until there is some`() async throws {
    let one = await RecordingProcess(redis)
    one.owner.state.withLock { $0.room = 0 }
    for address in ["a", "b", "live"] { #expect(await one.keep(address)) }
    one.records.park("a")
    one.records.park("b")
    one.owner.state.withLock { $0.room = 1000 }
    #expect(await until { one.owner.texts == ["a=1", "b=1"] })
    for place in one.owner.places {
      #expect(await one.begin(place) == .begun)
      one.records.finish(place)
    }
    let lot = "asgi:sluice:views:records:\(one.id)-0-k"
    #expect(await until { (try? await say("HLEN", lot)) == .integer(1) })
    await one.stop()
  }

  @Test func `with keys nobody reads the records but who has one of them`() async throws {
    let dead = await RecordingProcess(redis) { $0.encryptionKeys = ["one"] }
    #expect(await dead.keep("a", "secret"))
    let stored = try await say("HGET", "asgi:sluice:views:records:\(dead.id)-0-k", "a").text ?? "secret"
    #expect(!stored.contains("secret"))
    let heir = await RecordingProcess(redis) { $0.encryptionKeys = ["two", "one"] }
    try await silence(dead)
    #expect(await until { heir.owner.texts == ["a=secret"] })
    try await silence(heir)
    let stranger = await RecordingProcess(redis) { $0.encryptionKeys = ["three"] }
    let plain = await RecordingProcess(redis)
    // Those who cannot read them leave them to who can.
    let friend = await RecordingProcess(redis) { $0.encryptionKeys = ["one"] }
    #expect(await until { friend.owner.texts == ["a=secret"] })
    #expect(stranger.owner.texts == [] && plain.owner.texts == [])
    for process in [friend, plain, stranger, heir, dead] { await process.stop() }
  }

  @Test func `what another program has written harms nobody`() async throws {
    _ = try await say("HSET", "asgi:sluice:views:processes", "x", "rubbish", "", "", "y z", "1 left")
    _ = try await say("SET", "asgi:sluice:views:lots:x", "no hash")
    _ = try await say("HSET", "asgi:sluice:views:lots:y z", "lot", "k nan", "l2", "k", "", "")
    _ = try await say("HSET", "asgi:sluice:views:records:lot", "a", "\u{0}\u{1}")
    _ = try await say("SET", "asgi:sluice:views:begun:l2", "no hash")
    let one = await RecordingProcess(redis)
    #expect(await until { one.owner.places.map(\.address) == ["a"] })
    #expect(one.owner.state.withLock { $0.taken.map(\.lastSign) } == [nil])
    #expect(await one.keep("mine"))
    let dead = await RecordingProcess(redis)
    dead.owner.state.withLock { $0.kinds = [] }
    #expect(await dead.keep("b"))
    try await silence(dead)
    #expect(await until { one.owner.places.contains { $0.address == "b" } })
    for process in [one, dead] { await process.stop() }
  }

  @Test func `a session waits a moment for Redis, and not longer`() async throws {
    let one = await RecordingProcess(redis)
    #expect(await one.keep("a"))
    // Scripts, which may write, get no answer.
    _ = try await say("CLIENT", "PAUSE", "3600000", "WRITE")
    let answer = Task { await one.keep("b") }
    let isWaiting = Mutex(true)
    let hurry = Task {
      while isWaiting.withLock({ $0 }) {
        one.clock.pass(.seconds(1))
        try? await Task.sleep(for: .milliseconds(2))
      }
    }
    #expect(await answer.value == false)
    isWaiting.withLock { $0 = false }
    await hurry.value
    _ = try await say("CLIENT", "UNPAUSE")
    // What was refused is not left there.
    let lot = "asgi:sluice:views:records:\(one.id)-0-k"
    #expect(await until { (try? await say("HKEYS", lot)) == .array([.bulkString(Array("a".utf8))]) })
    await one.stop()
  }
}
