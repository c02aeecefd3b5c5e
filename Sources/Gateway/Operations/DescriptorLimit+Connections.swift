import GatewayConfig
import Transport

/// How the descriptors of the process are divided.
struct DescriptorShares: Sendable, Equatable {
  /// Served connections of clients, each with the descriptors that it may need.
  var connections: Int
  /// Connections of each worker beyond all limits: see `ExtraConnections`.
  var extras: Int
}

extension DescriptorLimit {
  /// Left for files, the log, and what the runtime opens.
  static let reserve = 64

  /// Of a connection with TLS: its own, and those of the pair of sockets behind it.
  private static let forTLS = 3

  private static let extraRange = 8...256

  /// - Parameters:
  ///   - configuration: says what a connection may need.
  ///   - threads: workers.
  func shares(for configuration: Configuration, threads: Int) -> DescriptorShares {
    let own = configuration.server.tls == nil ? 1 : Self.forTLS
    let upstream =
      configuration.served.hasSecureUpstreams ? Self.forTLS : configuration.served.hasUpstreams ? 1 : 0
    let extras = min(
      max(descriptors / (16 * threads), Self.extraRange.lowerBound), Self.extraRange.upperBound)
    // An event queue and its signal, and for each address a socket and what is kept for when no other descriptor is left; an event loop
    // has three.
    let listeners = configuration.server.listeners.count
    let perThread = 2 + listeners * (1 + Acceptor.spareCount) + (configuration.needsTLS ? 3 : 0) + extras
    let hosts = configuration.channelLayers.reduce(0) { count, layer in
      if case .redis(let redis) = layer.backend { count + redis.hosts.count } else { count }
    }
    let others = Self.reserve + threads * perThread + 4 * hosts
    return DescriptorShares(
      connections: connections(own: own, upstream: upstream, others: others), extras: extras)
  }

  /// - Parameters:
  ///   - own: descriptors of a connection of a client.
  ///   - upstream: of the one behind it. Those that are beyond the limit, and refused in words, have none.
  ///   - others: what is not a connection.
  func connections(own: Int, upstream: Int, others: Int = reserve) -> Int {
    let left = descriptors - others
    let beyond = GatewayState.beyond(left / (own + upstream))
    return max(1, (left - beyond * own) / (own + upstream))
  }

  /// How many descriptors so many connections need.
  func needed(for connections: Int, of configuration: Configuration, threads: Int) -> Int {
    // What is wanted grows with the limit, a little faster than by the factor that it is short of.
    var limit = self
    while limit.shares(for: configuration, threads: threads).connections < connections {
      limit.descriptors += max(64, limit.descriptors / 64)
    }
    return limit.descriptors
  }
}
