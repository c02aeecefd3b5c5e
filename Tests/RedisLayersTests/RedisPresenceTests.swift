import Bytes
import LayerTestSupport
import NIOPosix
import RedisClient
import Synchronization
import Testing
import Transport

@testable import ChannelLayers
@testable import GatewayConfig
@testable import RedisLayers

/// What processes write into Redis, by group and process.
private final class Written: Sendable {
  struct Process: Equatable {
    var numbers: String
    var users: Set<String>
  }

  struct State {
    var known: Set<String> = []
    var alive: Set<String> = []
    var groups: [String: [String: Process]] = [:]
    /// How often all of a process's users were written.
    var wholes = 0
    var beats = 0
  }

  let state = Mutex(State())

  var groups: [String: [String: Process]] { state.withLock { $0.groups } }

  /// Does what the script with these keys does.
  func answer(_ run: ScriptRun, _ redis: ScriptedRedis) -> RESPValue {
    let arguments = run.arguments
    switch run.keys.count {
    case 2: return beat(arguments[0])
    case 3 where run.keys[0].contains(":alive:"):
      for group in clear(arguments[0]) {
        redis.publish(Array(#"{"process":"\#(arguments[0])","dead":true}"#.utf8), to: arguments[4] + group)
      }
      return .integer(0)
    case 3:
      change(arguments)
      redis.publish(run.values[6], to: arguments[5])
      return .integer(1)
    default: return read(String(run.keys[0].split(separator: ":")[4]))
    }
  }

  private func beat(_ id: String) -> RESPValue {
    state.withLock { state in
      state.beats += 1
      let isKnown = !state.alive.insert(id).inserted
      state.known.insert(id)
      let silent = state.known.subtracting(state.alive)
      return .array([.integer(isKnown ? 1 : 0), .array(silent.map { .text($0) })])
    }
  }

  private func clear(_ id: String) -> [String] {
    state.withLock { state in
      state.known.remove(id)
      state.alive.remove(id)
      let groups = state.groups.keys.filter { state.groups[$0]?.removeValue(forKey: id) != nil }
      return groups
    }
  }

  private func change(_ arguments: [String]) {
    let (id, group, kind) = (arguments[0], arguments[1], arguments[2])
    let come = 8 + (Int(arguments[7]) ?? 0)
    state.withLock { state in
      guard kind != "gone" else {
        state.groups[group]?[id] = nil
        return
      }
      if kind == "all" { state.wholes += 1 }
      var users = kind == "all" ? [] : state.groups[group]?[id]?.users ?? []
      users.formUnion(arguments[8..<come])
      users.subtract(arguments[come...])
      state.groups[group, default: [:]][id] = Process(numbers: arguments[3], users: users)
    }
  }

  private func read(_ group: String) -> RESPValue {
    .array(
      (groups[group] ?? [:]).map { id, process in
        .array([.text(id), .text(process.numbers), .array(process.users.map { .text($0) })])
      })
  }
}

/// The presence of one process.
private struct PresentProcess {
  let presence: RedisPresence
  let lines = LogLines()
  private let running: Task<Void, Never>

  init(_ redis: ScriptedRedis, resuming state: LayerState? = nil, clock: RedisClock = .system) {
    var configuration = RedisLayerConfiguration(layout: .core)
    configuration.hosts = [RedisHost(.unix(path: redis.path))]
    let presence = RedisPresence(
      alias: "default", configuration, resuming: state, on: .singleton, log: lines.log, clock: clock)
    self.presence = presence
    running = Task { await presence.run() }
  }

  func join(_ user: String?, _ group: String = "room") {
    _ = presence.table.join(group, user.map { ExactText(text: $0) }, on: 0)
  }

  /// Who is in the group, as this process knows without asking Redis.
  func users(of group: String = "room") -> [String] { presence.table.list(of: group)?.users ?? [] }

  func stop() async {
    await presence.stop(within: .seconds(20))
    await running.value
  }
}

struct RedisPresenceTests {
  private let written = Written()
  private let clock = FakeClock()

  private func redis() async throws -> ScriptedRedis { try await ScriptedRedis(written.answer) }

  @Test func `a session is written, and each process with sessions in its group is told of it`() async throws
  {
    let redis = try await redis()
    let (one, other) = (PresentProcess(redis), PresentProcess(redis))
    one.join("ann")
    #expect(await until { written.groups["room"]?.values.map(\.users) == [["ann"]] })
    other.join("ben")
    #expect(await until { other.users() == ["ann", "ben"] && one.users() == ["ann", "ben"] })
    one.join("cleo")
    #expect(await until { other.users() == ["ann", "ben", "cleo"] })
    // A process without sessions in the group asks Redis.
    one.join(nil, "lobby")
    #expect(await until { await other.presence.list(of: "lobby")?.anonymous == 1 })
    await one.stop()
    await other.stop()
  }

  @Test func `a stop removes what the process has written, and nothing else`() async throws {
    let redis = try await redis()
    let (one, other) = (PresentProcess(redis), PresentProcess(redis))
    one.join("ann")
    other.join("ben")
    #expect(await until { written.groups["room"]?.count == 2 })
    await one.stop()
    #expect(written.groups["room"]?.values.map(\.users) == [["ben"]])
    #expect(written.state.withLock { $0.alive.count } == 1)
    await other.stop()
  }

  @Test func `a process that goes on for another one removes it from groups that nobody came back to`()
    async throws
  {
    for group in ["room", "quiet", "left"] {
      written.state.withLock { $0.groups[group] = ["before": .init(numbers: "1 0", users: ["zoe"])] }
    }
    var state = LayerState(alias: "default")
    state.names = ["a name in groups", "before"]
    state.presence = ["room", "quiet"].map { GroupPresence.State(group: $0) }
    state.leaving = ["left"]
    let redis = try await redis()
    let process = PresentProcess(redis, resuming: state)
    process.presence.table.resume("room", ExactText(text: "ann"), on: 0)
    #expect(
      await until {
        written.groups["quiet"]?.isEmpty == true && written.groups["left"]?.isEmpty == true
          && written.groups["room"]?["before"]?.users == ["ann"]
      })
    #expect(await until { await process.presence.groups == ["room"] })
    await process.stop()
  }

  @Test
  func `the sessions of a process that was killed are removed once this one has been connected for a while`()
    async throws
  {
    written.state.withLock {
      $0.known = ["dead"]
      $0.groups["room"] = ["dead": .init(numbers: "1 0", users: ["zoe"])]
    }
    let redis = try await redis()
    let process = PresentProcess(redis, clock: clock.clock)
    process.join("ann")
    #expect(await until { process.users() == ["ann", "zoe"] })
    for isLater in [false, true] {
      let beats = written.state.withLock { $0.beats }
      if isLater { clock.advance(by: .seconds(9)) }
      clock.end(try #require(await clock.nap(of: PresenceRegister.interval)))
      #expect(await until { written.state.withLock { $0.beats } > beats })
      if isLater { #expect(await until { written.groups["room"]?["dead"] == nil }) }
      #expect((written.groups["room"]?["dead"] == nil) == isLater)
    }
    await process.stop()
  }

  @Test func `after an outage everything is written again, and read again`() async throws {
    let redis = try await redis()
    let process = PresentProcess(redis, clock: clock.clock)
    process.join("ann")
    #expect(
      await until { written.groups["room"]?.values.map(\.users) == [["ann"]] && process.users() == ["ann"] })
    // Meanwhile Redis loses its data, and another process comes.
    written.state.withLock {
      $0.alive = []
      $0.groups["room"] = ["other": .init(numbers: "1 0", users: ["ben"])]
    }
    redis.cut()
    clock.end(try #require(await clock.pause()))
    #expect(await until { process.users() == ["ann", "ben"] })
    #expect(written.groups["room"]?.count == 2)
    #expect(await until { process.lines.all.count == 2 })
    #expect(
      process.lines.all == [
        "warning presence is not shared with other processes: the connection ended",
        "notice presence is shared again",
      ])
    await process.stop()
  }

  @Test func `a notice that cannot be read is noted, and the group is as before`() async throws {
    let redis = try await redis()
    let process = PresentProcess(redis)
    process.join("ann")
    #expect(await until { process.users() == ["ann"] })
    redis.publish(Array(#"{"process": 1}"#.utf8), to: "asgi:sluice:presence:0:room")
    #expect(await until { process.lines.all == ["warning a presence message could not be read"] })
    #expect(process.users() == ["ann"])
    await process.stop()
  }
}
