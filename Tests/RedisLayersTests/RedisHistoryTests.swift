import LayerTestSupport
import NIOPosix
import RedisClient
import Routing
import Synchronization
import Testing
import Transport

@testable import ChannelLayers
@testable import GatewayConfig
@testable import RedisLayers

/// The history of one group in Redis.
private final class Stream: Sendable {
  struct State {
    var payloads: [[UInt8]] = []
    /// Whether whoever asks records the events of other programs.
    var grantsLease = false
    /// The keys of the leases that were released.
    var released: [String] = []
    /// The offsets that loads began behind.
    var loadedBehind: [String] = []
  }

  static let epoch = "1f"
  let state = Mutex(State())

  /// Does what the script with these arguments does.
  func answer(_ run: ScriptRun, _ redis: ScriptedRedis) -> RESPValue {
    switch run.values.count {
    case 1: return release(run.keys)
    case 7:
      let offset = append(run.values[5])
      redis.publish(
        Array("\(Self.epoch) \(offset) \(run.arguments[4]) ".utf8) + run.values[5], to: run.keys[1])
      return .array([.text("\(Self.epoch).\(offset)")])
    case 8: return load(run.arguments)
    default: return .null
    }
  }

  func append(_ payload: [UInt8]) -> Int {
    state.withLock { state in
      state.payloads.append(payload)
      return state.payloads.count
    }
  }

  private func release(_ keys: [String]) -> RESPValue {
    state.withLock { $0.released += keys }
    return .integer(1)
  }

  private func load(_ arguments: [String]) -> RESPValue {
    state.withLock { state in
      let known = arguments[1] == Self.epoch ? Int(arguments[2]) ?? 0 : 0
      state.loadedBehind.append(arguments[2])
      let entries = state.payloads.enumerated().dropFirst(known).flatMap { index, payload in
        [RESPValue.text("\(index + 1)-1000"), .text("\(index + 1)"), .bulkString(payload)]
      }
      return .array([
        .text(Self.epoch), .integer(Int64(state.payloads.count)), .integer(1), .text("2000"),
        .integer(state.grantsLease ? 1 : 0), .array(entries),
      ])
    }
  }
}

/// The histories of one process, for one reactor.
private struct RecordingProcess {
  let history: RedisHistory
  let copies: GroupHistory
  let lines = LogLines()
  private let hub: RedisHub
  private let news: AsyncStream<HistoryNews>
  private let thread: ReactorThread
  private let running: Task<Void, Never>

  init(_ redis: ScriptedRedis, clock: RedisClock = .system) async throws {
    var configuration = RedisLayerConfiguration(layout: .core)
    configuration.hosts = [RedisHost(.unix(path: redis.path))]
    var rules = HistoryRules()
    rules.add(GroupPattern(parts: [.literal("kept")]), HistoryConfiguration(messages: 10))
    copies = GroupHistory(rules, memory: HistoryMemory())
    hub = RedisHub(alias: "default", configuration, on: .singleton, log: lines.log)
    let history = RedisHistory(hub, recording: copies, on: .singleton, clock: clock)
    self.history = history
    let (news, arrive) = AsyncStream<HistoryNews>.makeStream()
    self.news = news
    let (thread, mailbox) = try Reactor.start(name: "test") { reactor in
      reactor.mailbox { (news: HistoryNews) in _ = arrive.yield(news) }
    }
    self.thread = thread
    await history.connect(to: [mailbox])
    running = Task { await history.run() }
    await history.waitUntilAvailable(within: .seconds(60))
  }

  /// An event as it is in Redis.
  func payload(_ type: String) throws -> [UInt8] {
    hub.codec.body(
      try hub.codec.encode(Event(type: type)), targets: .none, now: UInt64(MessageClock.now()))
  }

  func record(_ type: String, ticket: Int) async -> Published? {
    guard let limits = copies.rules.limits(of: "kept") else { return nil }
    let request = RecordRequest(
      event: Event(type: type), group: "kept", limits: limits,
      sender: .outside(reactor: 0, ticket: ticket))
    if let reason = history.publish(request) { return Published(undelivered: reason) }
    history.wake()
    for await news in news {
      if case .published(ticket, let published) = news { return published }
    }
    return nil
  }

  func subscribe() async -> Subscription? {
    history.change(.wanted(group: "kept", reactor: 0))
    for await news in news {
      if case .subscribed("kept", let outcome) = news { return outcome }
    }
    return nil
  }

  /// The types of the events in this process's copy.
  var types: [String] {
    copies.copy(of: "kept")?.read(behind: nil, at: nil).events.map(\.type) ?? []
  }

  func stop() async {
    await history.stop(within: .seconds(20))
    await running.value
    thread.stop()
    thread.join()
  }
}

struct RedisHistoryTests {
  private let stream = Stream()

  @Test func `an event is recorded once, and each copy has it: loaded, or announced`() async throws {
    let redis = try await ScriptedRedis(stream.answer)
    let (one, other) = (try await RecordingProcess(redis), try await RecordingProcess(redis))
    #expect(await one.record("a", ticket: 7)?.position == EventPosition("1f.1"))
    #expect(await other.subscribe() == .active)
    #expect(other.types == ["a"])
    #expect(await one.record("b", ticket: 8)?.position == EventPosition("1f.2"))
    #expect(await until { other.types == ["a", "b"] })
    #expect(stream.state.withLock { $0.payloads.count } == 2)
    await one.stop()
    await other.stop()
  }

  @Test func `an entry that cannot be read keeps its place`() async throws {
    let redis = try await ScriptedRedis(stream.answer)
    let process = try await RecordingProcess(redis)
    _ = stream.append([0xC1])
    _ = stream.append(try process.payload("b"))
    #expect(await process.subscribe() == .active)
    #expect(process.types == [Event.unreadableType, "b"])
    #expect(process.lines.all == ["warning a message from Redis could not be read"])
    await process.stop()
  }

  @Test func `after an outage a copy has what it has missed`() async throws {
    let clock = FakeClock()
    let redis = try await ScriptedRedis(stream.answer)
    let process = try await RecordingProcess(redis, clock: clock.clock)
    _ = stream.append(try process.payload("a"))
    #expect(await process.subscribe() == .active)
    redis.cut()
    let nap = try #require(await clock.pause())
    #expect(!process.history.isAvailable)
    #expect(await process.record("lost", ticket: 1) == Published(undelivered: .unavailable))
    _ = stream.append(try process.payload("b"))
    clock.end(nap)
    #expect(await until { process.types == ["a", "b"] })
    #expect(stream.state.withLock { $0.loadedBehind } == ["0", "1"])
    #expect(
      process.lines.all == ["error history not available: the connection ended", "notice history available"])
    await process.stop()
  }

  @Test func `a stop releases the lease on the events of other programs`() async throws {
    stream.state.withLock { $0.grantsLease = true }
    let redis = try await ScriptedRedis(stream.answer)
    let process = try await RecordingProcess(redis)
    #expect(await process.subscribe() == .active)
    await process.stop()
    #expect(stream.state.withLock { $0.released } == ["asgi:sluice:history:kept:meta"])
    #expect(await process.record("late", ticket: 1) == Published(undelivered: .unavailable))
  }
}
