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
  private let aliases: [String]
  private let group: MultiThreadedEventLoopGroup?

  init(_ configuration: Configuration, log: Logger) {
    let used = configuration.served.channelLayers
    let layers = configuration.channelLayers.filter { used.contains($0.alias) }
    aliases = layers.map(\.alias)
    let needsRedis = layers.contains { if case .redis = $0.backend { true } else { false } }
    // One loop does: all that happens on it is to move bytes between Redis and the reactors.
    let group = needsRedis ? MultiThreadedEventLoopGroup(numberOfThreads: 1) : nil
    self.group = group
    all = layers.map { layer in
      guard case .redis(let redis) = layer.backend, let group else { return .memory(MemoryHub()) }
      return .redis(RedisHub(alias: layer.alias, redis, on: group, log: log))
    }
    presences = layers.map { LayerPresence($0, for: configuration.served, on: group, log: log) }
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
  var areAvailable: Bool { hubs.allSatisfy(\.isAvailable) }

  /// Runs until `stop`.
  func run() async {
    await withDiscardingTaskGroup { tasks in
      for hub in hubs { tasks.addTask { await hub.run() } }
      for presence in presences.compactMap(\.self) { tasks.addTask { await presence.run() } }
    }
  }

  /// Tries to reach every layer, all at the same time.
  ///
  /// - Returns: for each that cannot be reached, a sentence.
  func firstConnection() async -> [String] {
    await withTaskGroup { tasks in
      for (alias, layer) in zip(aliases, all) {
        guard case .redis(let hub) = layer else { continue }
        tasks.addTask { await hub.firstConnection().map { "channel layer \"\(alias)\": \($0)" } }
      }
      return await tasks.reduce(into: []) { if let failure = $1 { $0.append(failure) } }.sorted()
    }
  }

  /// Waits while the layers that were reached get going, so that the first client finds them there.
  func settle(within time: Duration) async {
    await withDiscardingTaskGroup { tasks in
      for hub in hubs { tasks.addTask { _ = await hub.waitUntilAvailable(within: time) } }
    }
  }

  /// Takes this process out of the layers, for as long as that may take.
  func stop(within time: Duration) async {
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
enum WorkerLayer {
  case memory(MemoryChannelLayer)
  case redis(RedisChannelLayer, Mailbox<RedisDelivery>)

  init(_ layer: GatewayLayers.Layer, reactor: Reactor, number: Int) {
    switch layer {
    case .memory(let hub): self = .memory(MemoryChannelLayer(reactor: reactor, number: number, hub: hub))
    case .redis(let hub):
      let end = RedisChannelLayer(reactor: reactor, number: number, hub: hub)
      self = .redis(end, end.mailbox(on: reactor))
    }
  }

  var layer: any ChannelLayer {
    switch self {
    case .memory(let layer): layer
    case .redis(let layer, _): layer
    }
  }

  /// Where the hub of a Redis layer posts for this worker; the memory layer knows its ends itself.
  var mailbox: Mailbox<RedisDelivery>? {
    switch self {
    case .memory: nil
    case .redis(_, let mailbox): mailbox
    }
  }
}
