import ChannelLayers
import LayerTestSupport
import Logging
import NIOPosix
import Routing
import Testing

@testable import GatewayConfig
@testable import RedisLayers
@testable import Transport

/// What every back end does, whichever it is.
enum BackEndKind: CaseIterable {
  case memory
  case redisCore
  case redisPubSub

  /// Whether several processes can use one layer.
  var isShared: Bool {
    switch self {
    case .memory: false
    case .redisCore, .redisPubSub: true
    }
  }

  /// Those that can run here.
  static var here: [BackEndKind] { allCases.filter { LocalRedis.program != nil || !$0.isShared } }

  fileprivate func make(at socket: String) -> any LayerBackend {
    var rules = HistoryRules()
    rules.add(GroupPattern(parts: [.literal("kept")]), HistoryConfiguration(messages: 2))
    let history = GroupHistory(rules, memory: HistoryMemory())
    let layout: RedisLayerConfiguration.Layout
    switch self {
    case .memory: return MemoryBackend(alias: "default", history: history, hasPresence: true)
    case .redisCore: layout = .core
    case .redisPubSub: layout = .pubSub
    }
    var configuration = RedisLayerConfiguration(layout: layout)
    configuration.hosts = [RedisHost(.unix(path: socket))]
    return RedisBackend(
      alias: "default", configuration, history: history, hasPresence: true,
      on: .singleton, log: .quiet)
  }
}

private struct Heard: Sendable, Equatable {
  var member: String
  var text: String
}

/// A member that says what it is sent.
private func member(_ name: String, _ heard: AsyncStream<Heard>.Continuation) -> RecordingMember {
  RecordingMember { text in
    for type in text.split(separator: " ") { heard.yield(Heard(member: name, text: String(type))) }
  } onUndelivered: { reason in
    heard.yield(Heard(member: name, text: "\(reason)"))
  }
}

/// What is on one reactor.
private final class Place {
  let end: LayerEnd
  var memberships: [String: Membership] = [:]
  var present: PresentMember?

  init(_ end: LayerEnd) {
    self.end = end
  }
}

/// A way onto a reactor.
private struct ReactorEnd: Sendable {
  let thread: ReactorThread
  let work: Mailbox<@Sendable (Place) -> Void>

  init(_ backend: any LayerBackend, number: Int) throws {
    (thread, work) = try Reactor.start(name: "test-\(number)") { reactor in
      let place = Place(backend.end(on: reactor, number: number))
      return reactor.mailbox { (work: @Sendable (Place) -> Void) in work(place) }
    }
  }

  /// Runs the body on the reactor, and waits until it calls back.
  func ask<Result: Sendable>(
    _ body: @escaping @Sendable (Place, _ reply: @escaping @Sendable (Result) -> Void) -> Void
  ) async -> Result {
    await withCheckedContinuation { continuation in
      work.post { body($0) { continuation.resume(returning: $0) } }
    }
  }

  func join(_ group: String, as name: String, _ heard: AsyncStream<Heard>.Continuation) async -> Subscription
  {
    await ask { place, reply in
      place.end.layer.subscribe(to: group) { outcome in
        if outcome == .active {
          place.memberships[group] = place.end.layer.groups.join(
            member(name, heard), group: group, route: ObjectIdentifier(TypeRenderer.self),
            renderer: TypeRenderer(end: " "))
        }
        reply(outcome)
      }
    }
  }

  func publish(_ type: String, to group: String) async -> Published {
    await ask { place, reply in
      place.end.layer.publish(Event(type: type), to: group) { reply($0) }
    }
  }
}

/// One process's part of a layer: a back end, and an end on each of two reactors.
private struct LayerProcess {
  let backend: any LayerBackend
  let ends: [ReactorEnd]
  private let running: Task<Void, Never>

  init(_ backend: any LayerBackend) async throws {
    self.backend = backend
    ends = try (0..<2).map { try ReactorEnd(backend, number: $0) }
    // The server has just been started. Attempts are counted, and not time, because other tests may leave this one little of it.
    var attempts = 0
    while let failure = await backend.firstConnection() {
      attempts += 1
      try #require(attempts < 2000, "\(failure.text)")
      try await Task.sleep(for: .milliseconds(10))
    }
    running = Task { await backend.run() }
    await backend.settle(within: .seconds(300))
    #expect(backend.isAvailable)
  }

  func stop() async {
    await backend.stop(within: .seconds(5))
    await running.value
    #expect(backend.isAvailable == !backend.isShared)
    for end in ends {
      end.thread.stop()
      end.thread.join()
    }
  }
}

/// Runs the body with as many processes as can share the layer, at most two.
private func withProcesses(
  of kind: BackEndKind, _ body: ([LayerProcess]) async throws -> Void
) async throws {
  let redis = kind.isShared ? try LocalRedis() : nil
  defer { withExtendedLifetime(redis) {} }
  var processes: [LayerProcess] = []
  for _ in 0..<(kind.isShared ? 2 : 1) {
    processes.append(try await LayerProcess(kind.make(at: redis?.socket ?? "")))
  }
  try await body(processes)
  for process in processes { await process.stop() }
}

struct LayerBackendTests {
  @Test(arguments: BackEndKind.here)
  func `an event reaches each member of its group once, on every reactor and in every process, in order`(
    _ kind: BackEndKind
  ) async throws {
    try await withProcesses(of: kind) { processes in
      #expect(processes.allSatisfy { $0.backend.isShared == kind.isShared })
      let (deliveries, heard) = AsyncStream<Heard>.makeStream()
      let ends = processes.flatMap(\.ends)
      for (index, end) in ends.enumerated() {
        #expect(await end.join("room", as: "\(index)", heard) == .active)
      }
      #expect(await ends[1].join("other", as: "other", heard) == .active)
      let types = (0..<20).map { "e\($0)" }
      ends[0].work.post { place in
        guard let sender = place.memberships["room"] else { return }
        for type in types { place.end.layer.publish(Event(type: type), to: "room", from: sender) }
      }
      #expect(await ends[0].publish("last", to: "other") == Published())
      var got: [String: [String]] = [:]
      var rest = types.count * ends.count + 1
      for await delivery in deliveries {
        got[delivery.member, default: []].append(delivery.text)
        rest -= 1
        if rest == 0 { break }
      }
      for index in ends.indices { #expect(got["\(index)"] == types) }
      #expect(got["other"] == ["last"])
    }
  }

  @Test(arguments: BackEndKind.here, ["room", "kept"])
  func `a reactor knows which others of its process have subscribers of a group, and looks at their groups`(
    _ kind: BackEndKind, _ group: String
  ) async throws {
    try await withProcesses(of: kind) { processes in
      let (_, heard) = AsyncStream<Heard>.makeStream()
      let ends = processes.flatMap(\.ends)
      // The number of the other reactor, and its members, as one that is asked sees it.
      @Sendable func others(of end: ReactorEnd) async -> [Int] {
        await end.ask { (place, reply: @escaping @Sendable ([Int]) -> Void) in
          let peers = place.end.layer.peers(of: group)
          guard let peer = peers.first else { return reply([]) }
          peer.post { reply([peers.count, peer.number, $0.memberCount(of: group)]) }
        }
      }
      #expect(await others(of: ends[0]) == [])
      for end in ends { #expect(await end.join(group, as: "one", heard) == .active) }
      #expect(await others(of: ends[0]) == [1, 1, 1])
      #expect(await others(of: ends[1]) == [1, 0, 1])
    }
  }

  @Test(arguments: BackEndKind.here)
  func `a history has the last events, with their positions, for every reactor and process`(
    _ kind: BackEndKind
  )
    async throws
  {
    try await withProcesses(of: kind) { processes in
      let ends = processes.flatMap(\.ends)
      var positions: [EventPosition] = []
      for type in ["a", "b", "c"] {
        let published = await ends[0].publish(type, to: "kept")
        positions.append(try #require(published.position))
      }
      #expect(await ends[0].publish("d", to: "unkept").position == nil)
      let first = positions[0]
      for end in ends {
        let slice: HistorySlice? = await end.ask { place, reply in
          place.end.layer.subscribe(to: "kept") { _ in
            reply(place.end.layer.history(of: "kept", behind: first, bytes: 1 << 20))
          }
        }
        #expect(slice?.events.map(\.type) == ["b", "c"])
        #expect(slice?.events.map(\.position) == [positions[1], positions[2]])
        #expect(slice?.isGap == false)
      }
    }
  }

  @Test(arguments: BackEndKind.here)
  func `presence knows the sessions of all reactors and processes, until they leave`(_ kind: BackEndKind)
    async throws
  {
    try await withProcesses(of: kind) { processes in
      let (_, heard) = AsyncStream<Heard>.makeStream()
      let ends = processes.flatMap(\.ends)
      for (index, end) in ends.enumerated() {
        end.work.post { place in
          place.present = place.end.presence?.join(
            member("\(index)", heard), group: "room", route: ObjectIdentifier(TypeRenderer.self),
            renderer: TypeRenderer(end: " "), user: "u\(index)")
        }
      }
      func wait(for count: Int) async throws {
        for process in processes {
          #expect(process.backend.hasPresence)
          var attempts = 0
          while await process.backend.presence(in: "room")?.count != count {
            attempts += 1
            try #require(attempts < 2000)
            try await Task.sleep(for: .milliseconds(10))
          }
        }
      }
      try await wait(for: ends.count)
      ends[0].work.post { place in
        place.present?.leave()
        place.present = nil
      }
      try await wait(for: ends.count - 1)
    }
  }
}
