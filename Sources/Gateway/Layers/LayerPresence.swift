import ChannelLayers
import GatewayConfig
import Logging
import NIOPosix

/// The presence in the groups of one channel layer, for the whole process.
enum LayerPresence: Sendable {
  case memory(PresenceTable)
  case redis(RedisPresence)

  /// Nil if no route uses it.
  init?(
    _ layer: ChannelLayerConfiguration, for application: ApplicationConfiguration,
    on group: MultiThreadedEventLoopGroup?, log: Logger
  ) {
    guard application.usesPresence(ofLayer: layer.alias) else { return nil }
    if case .redis(let redis) = layer.backend, let group {
      self = .redis(RedisPresence(alias: layer.alias, redis, on: group, log: log))
    } else {
      self = .memory(PresenceTable())
    }
  }

  var table: PresenceTable {
    switch self {
    case .memory(let table): table
    case .redis(let presence): presence.table
    }
  }

  func run() async {
    switch self {
    case .memory(let table): await table.run()
    case .redis(let presence): await presence.run()
    }
  }

  func stop(within time: Duration) async {
    switch self {
    case .memory(let table): table.stop()
    case .redis(let presence): await presence.stop(within: time)
    }
  }
}

extension GatewayLayers {
  /// The presence in a group, in all processes that use the layer.
  ///
  /// - Parameter alias: the alias of the layer.
  /// - Returns: nil if no route of the layer has `presence`, or Redis does not answer.
  func presence(of group: String, in alias: String) async -> PresenceList? {
    switch index(of: alias).flatMap({ presences[$0] }) {
    case nil: nil
    case .memory(let table): table.list(of: group)
    case .redis(let presence): await presence.list(of: group)
    }
  }
}
