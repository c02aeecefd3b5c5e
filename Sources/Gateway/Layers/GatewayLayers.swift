package import ChannelLayers
package import GatewayConfig
import Logging
import NIOCore
import NIOPosix
import RedisLayers

/// The channel layers that the served routes use, for the whole process. Each worker has its own end of each layer.
final class GatewayLayers: Sendable {
  let all: [any LayerBackend]
  private let group: MultiThreadedEventLoopGroup?
  /// Of the histories of all layers.
  let historyMemory: HistoryMemory

  /// - Parameter refused: called for each event that a reactor did not get because too much waits for it.
  init(_ configuration: Configuration, log: Logger, refused: @escaping @Sendable () -> Void) {
    let served = configuration.served
    let layers = configuration.channelLayers.filter { served.channelLayers.contains($0.alias) }
    var group: MultiThreadedEventLoopGroup?
    let memory = HistoryMemory(limit: configuration.server.historyMemory.bytes)
    historyMemory = memory
    all = layers.map { layer -> any LayerBackend in
      let rules = Self.historyRules(of: layer.alias, served)
      let history = rules.isEmpty ? nil : GroupHistory(rules, memory: memory)
      let hasPresence = served.uses(ofLayer: layer.alias).presence
      switch layer.backend {
      case .memory:
        return MemoryBackend(alias: layer.alias, history: history, hasPresence: hasPresence, refused: refused)
      case .redis(let redis):
        // One event loop is enough for all of them: it only moves bytes between Redis and the reactors.
        let loop = group ?? MultiThreadedEventLoopGroup(numberOfThreads: 1)
        group = loop
        return RedisBackend(
          alias: layer.alias, redis, history: history, hasPresence: hasPresence,
          keepsRecords: served.uses(ofLayer: layer.alias).records, keepsOrders: served.takesTimedOrders,
          obeysOrders: served.takesOrders, on: loop, log: log)
      }
    }
    self.group = group
  }

  private static func historyRules(of alias: String, _ application: ApplicationConfiguration) -> HistoryRules
  {
    var rules = HistoryRules()
    for group in application.groups where group.layer == alias {
      if let history = group.history, let first = group.templates.first { rules.add(first, history) }
    }
    return rules
  }

  /// The layers that other processes may use as well.
  var shared: [any LayerBackend] { all.filter(\.isShared) }

  private func each(_ work: @escaping @Sendable (any LayerBackend) async -> Void) async {
    await withDiscardingTaskGroup { tasks in
      for layer in all { tasks.addTask { await work(layer) } }
    }
  }

  /// Runs until `stop`.
  func run() async { await each { await $0.run() } }

  /// Connects to every layer at the same time, and checks the rights of the user.
  ///
  /// - Returns: a sentence for each layer with a problem.
  func firstConnection() async -> [String] {
    await withTaskGroup { tasks in
      for layer in all {
        tasks.addTask {
          await layer.firstConnection().map { "channel layer \"\(layer.alias)\": \($0.text); \($0.hint)" }
        }
      }
      return await tasks.reduce(into: []) { if let failure = $1 { $0.append(failure) } }.sorted()
    }
  }

  /// Waits until the reached layers are available, so that the first client finds them ready.
  func settle(within time: Duration) async { await each { await $0.settle(within: time) } }

  /// Removes this process from the layers, within the given time.
  func stop(within time: Duration) async { await each { await $0.stop(within: time) } }

  func shutDown() async throws { try await group?.shutdownGracefully() }
}

extension ApplicationConfiguration {
  /// The features of a layer that the routes use besides events.
  package func uses(ofLayer alias: String) -> LayerUses {
    let groups = groups.filter { $0.layer == alias }
    return LayerUses(
      history: groups.contains { $0.history != nil }, presence: groups.contains(where: \.presence),
      orders: takesTimedOrders,
      records: webSocketRoutes.contains { route in
        route.consumer.group?.layer == alias && route.consumer.view?.on.contains(.disconnect) == true
      })
  }
}
