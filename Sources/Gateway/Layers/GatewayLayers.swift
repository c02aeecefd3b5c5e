import ChannelLayers
import GatewayConfig
import Logging
import NIOCore
import NIOPosix
import Transport

/// The channel layers that the served routes use, for the whole process. Each worker has an end of every one of them.
final class GatewayLayers: Sendable {
  enum Layer: Sendable {
    case memory(MemoryHub)
    case redis(RedisHub)
  }

  /// In an order that routes know them by.
  let all: [Layer]
  /// Of each layer: who is in its groups; nil where no route asks for it.
  let presences: [LayerPresence?]
  /// What each of them keeps of its groups; nil where no route says `history`.
  let histories: [GroupHistory?]
  /// Where the histories of Redis layers are; nil for others, and where there is none.
  let recorders: [RedisHistory?]
  private let aliases: [String]
  private let uses: [RedisLayerUses]
  private let group: MultiThreadedEventLoopGroup?

  /// - Parameter refused: told of each event that did not reach a reactor for which too much waits.
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
    // One loop does: all that happens on it is to move bytes between Redis and the reactors.
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

  /// Those that other processes may be on.
  var redisIndices: [Int] {
    all.indices.filter { if case .redis = all[$0] { true } else { false } }
  }

  var hubs: [RedisHub] {
    all.compactMap { if case .redis(let hub) = $0 { hub } else { nil } }
  }

  /// Whether events travel on all of them.
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

  /// Tries to reach every layer, and whether this process has every right there that it needs, all at the same time.
  ///
  /// - Returns: for each with which something is wrong, a sentence.
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

  /// Waits while the layers that were reached get going, so that the first client finds them there.
  func settle(within time: Duration) async {
    await withDiscardingTaskGroup { tasks in
      for hub in hubs { tasks.addTask { _ = await hub.waitUntilAvailable(within: time) } }
      for case let recorder? in recorders {
        tasks.addTask { await recorder.waitUntilAvailable(within: time) }
      }
    }
  }

  /// Takes this process out of the layers, for as long as that may take.
  func stop(within time: Duration) async {
    // What is recorded goes through the layer, too.
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
  /// Where the recorder of its groups posts for this worker; nil where none are recorded.
  let news: Mailbox<HistoryNews>?
  /// Where the hub of a Redis layer posts for this worker; the memory layer knows its ends itself.
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
