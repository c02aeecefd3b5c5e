import ChannelLayers
import GatewayConfig
import Logging
import NIOCore
import NIOPosix
import Transport

/// The channel layers that the served routes use, for the whole process. Each worker has its own end of each layer.
final class GatewayLayers: Sendable {
  enum Layer: Sendable {
    case memory(MemoryHub)
    case redis(RedisHub)
  }

  /// Routes refer to the layers by index.
  let all: [Layer]
  /// For each layer, the presence in its groups; nil if no route uses it.
  let presences: [LayerPresence?]
  /// For each layer, the histories of its groups; nil if no route has `history`.
  let histories: [GroupHistory?]
  /// For each Redis layer with histories, its recorder; nil for others.
  let recorders: [RedisHistory?]
  private let aliases: [String]
  private let uses: [RedisLayerUses]
  private let group: MultiThreadedEventLoopGroup?

  /// - Parameter refused: called for each event that a reactor did not get because too much waits for it.
  init(_ configuration: Configuration, log: Logger, refused: @escaping @Sendable () -> Void = {}) {
    let used = configuration.served.channelLayers
    let layers = configuration.channelLayers.filter { used.contains($0.alias) }
    aliases = layers.map(\.alias)
    uses = layers.map { configuration.served.uses(ofLayer: $0.alias) }
    let memory = HistoryMemory(limit: configuration.server.historyMemory.bytes)
    histories = layers.map { layer in
      let rules = Self.historyRules(of: layer.alias, configuration.served)
      return rules.isEmpty ? nil : GroupHistory(rules, memory: memory)
    }
    let needsRedis = layers.contains { if case .redis = $0.backend { true } else { false } }
    // One event loop is enough: it only moves bytes between Redis and the reactors.
    let group = needsRedis ? MultiThreadedEventLoopGroup(numberOfThreads: 1) : nil
    self.group = group
    let all: [Layer] = layers.map { layer in
      guard case .redis(let redis) = layer.backend, let group else {
        return .memory(MemoryHub(refused: refused))
      }
      return .redis(RedisHub(alias: layer.alias, redis, on: group, log: log))
    }
    self.all = all
    recorders = zip(all, histories).map { layer, history in
      guard case .redis(let hub) = layer, let history, let group else { return nil }
      return RedisHistory(hub, recording: history, on: group)
    }
    presences = layers.map { LayerPresence($0, for: configuration.served, on: group, log: log) }
  }

  private static func historyRules(
    of alias: String, _ application: ApplicationConfiguration
  ) -> HistoryRules {
    var rules = HistoryRules()
    for group in application.groups where group.layer == alias {
      if let history = group.history, let first = group.templates.first { rules.add(first, history) }
    }
    return rules
  }

  func index(of alias: String) -> Int? {
    aliases.firstIndex(of: alias)
  }

  /// The layers that other processes may use as well.
  var redisIndices: [Int] {
    all.indices.filter { if case .redis = all[$0] { true } else { false } }
  }

  var hubs: [RedisHub] {
    all.compactMap { if case .redis(let hub) = $0 { hub } else { nil } }
  }

  /// The aliases of the layers that are not available.
  var unavailable: [String] {
    all.indices.filter { index in
      guard case .redis(let hub) = all[index] else { return false }
      return !hub.isAvailable || !(recorders[index]?.isAvailable ?? true)
    }.map { aliases[$0] }
  }

  /// Whether all layers are available.
  var areAvailable: Bool {
    hubs.allSatisfy(\.isAvailable) && recorders.allSatisfy { $0?.isAvailable ?? true }
  }

  /// Runs until `stop`.
  func run() async {
    await withDiscardingTaskGroup { tasks in
      for hub in hubs { tasks.addTask { await hub.run() } }
      for presence in presences.compactMap(\.self) { tasks.addTask { await presence.run() } }
      for case let recorder? in recorders { tasks.addTask { await recorder.run() } }
    }
  }

  /// Connects to every layer at the same time, and checks the rights of the user.
  ///
  /// - Returns: a sentence for each layer with a problem.
  func firstConnection() async -> [String] {
    await withTaskGroup { tasks in
      for (index, layer) in all.enumerated() {
        guard case .redis(let hub) = layer else { continue }
        let (alias, uses) = (aliases[index], uses[index])
        tasks.addTask {
          await hub.firstConnection(for: uses).map { "channel layer \"\(alias)\": \($0.text); \($0.hint)" }
        }
      }
      return await tasks.reduce(into: []) { if let failure = $1 { $0.append(failure) } }.sorted()
    }
  }

  /// Waits until the reached layers are available, so that the first client finds them ready.
  func settle(within time: Duration) async {
    await withDiscardingTaskGroup { tasks in
      for hub in hubs { tasks.addTask { _ = await hub.waitUntilAvailable(within: time) } }
      for case let recorder? in recorders {
        tasks.addTask { await recorder.waitUntilAvailable(within: time) }
      }
    }
  }

  /// Removes this process from the layers, within the given time.
  func stop(within time: Duration) async {
    // The histories go first, because recording uses the layer, too.
    await withDiscardingTaskGroup { tasks in
      for case let recorder? in recorders { tasks.addTask { await recorder.stop(within: time / 2) } }
    }
    await withDiscardingTaskGroup { tasks in
      for hub in hubs { tasks.addTask { await hub.stop(within: time) } }
      for presence in presences.compactMap(\.self) { tasks.addTask { await presence.stop(within: time) } }
    }
  }

  func shutDown() async throws {
    try await group?.shutdownGracefully()
  }
}

/// A worker's end of a layer.
struct WorkerLayer {
  let layer: any ChannelLayer
  /// The mailbox for the recorder of its groups; nil without recorded groups.
  let news: Mailbox<HistoryNews>?
  /// The mailbox for the hub of a Redis layer. The memory layer knows its ends itself.
  let mailbox: Mailbox<RedisDelivery>?

  init(
    _ layer: GatewayLayers.Layer, recording history: GroupHistory?, by recorder: RedisHistory?,
    reactor: Reactor, number: Int
  ) {
    let plain: any ChannelLayer
    switch layer {
    case .memory(let hub):
      plain = MemoryChannelLayer(reactor: reactor, number: number, hub: hub)
      mailbox = nil
    case .redis(let hub):
      let end = RedisChannelLayer(reactor: reactor, number: number, hub: hub)
      plain = end
      mailbox = end.mailbox(on: reactor)
    }
    guard let history else {
      self.layer = plain
      news = nil
      return
    }
    let recording = RecordingChannelLayer(
      plain, recording: history, reactor: reactor, number: number, recorder: recorder)
    self.layer = recording
    news = recording.end
  }
}
