package import GatewayConfig
import Glibc
import NIOCore
package import Transport

/// How the descriptors of the process are divided.
struct DescriptorShares: Sendable, Equatable {
  /// Served connections of clients, while none of them needs a pair of sockets: see `DescriptorRoom`.
  var connections: Int
  /// Descriptors of each, with that to its upstream.
  var each: Int
  /// Pairs of sockets that there is room for beside all connections.
  var pairs: Int
  /// Connections of each worker beyond all limits: see `ExtraConnections`.
  var extras: Int
}

/// What opens descriptors that are no connections of clients, and how many.
enum DescriptorNeeds {
  /// A reactor: an event queue and its signal.
  static let reactor = 2
  /// The signal of the thread that makes a reactor's handshakes.
  static let handshakes = 1
  /// An event loop of NIO: an event queue, a signal and a timer. Where it cannot have them, NIO ends the process.
  static let eventLoop = 3
  /// A host of Redis: its connections.
  static let redisHost = 4
  /// The log: the signals of its thread.
  private static let log = 2
  /// Dispatch: an event queue, a signal and a timer, and one for each signal of the system that is listened to.
  private static let dispatch = 6
  /// What is open for a moment: files, the resolving of names, a connection before its limits are known.
  private static let moments = 8

  /// For each of a worker's addresses: the socket, and what is kept for when no other descriptor is left.
  static func listeners(of configuration: Configuration) -> Int {
    configuration.server.listeners.count * (1 + Acceptor.spareCount)
  }

  static func redisHosts(of configuration: Configuration) -> Int {
    configuration.channelLayers.reduce(0) { $0 + $1.backend.serverCount }
  }

  /// The connections to the views of all routes: as many as may be in use, as many again that wait for their next question or their ends,
  /// and each worker's share of them.
  static func views(of configuration: Configuration, threads: Int) -> Int {
    configuration.served.webSocketRoutes.reduce(0) { sum, route in
      guard let most = route.consumer.view?.inFlight else { return sum }
      return sum + 2 * most + max(most, threads)
    }
  }

  /// What `serve` opens from the reading of its file to the end of its stop, with one client at a time.
  ///
  /// - Parameter threads: workers.
  static func ofGateway(_ configuration: Configuration, threads: Int) -> Int {
    let hosts = redisHosts(of: configuration)
    let loops = 1 + (hosts > 0 ? 1 : 0) + (configuration.served.hasSecureUpstreams ? threads : 0)
    // Those of the memory and of the stop are no workers.
    let hasTLS = configuration.server.tls != nil
    let reactors = (threads + 2) * reactor + (hasTLS ? threads * handshakes : 0)
    let client = 1 + DescriptorLimit.upstream(configuration) + (hasTLS ? DescriptorRoom.pair : 0)
    return log + dispatch + moments + loops * eventLoop + reactors
      + threads * listeners(of: configuration) + hosts * redisHost
      + views(of: configuration, threads: threads) + client
  }

  /// What an upgrade opens before the program is executed: its file, the sessions, and the pipes of the trial with copies of all that the
  /// child is given.
  static let upgrade = 16

  /// What a command opens that talks to a server by NIO.
  static func ofClient() -> Int { dispatch + System.coreCount * eventLoop + moments }
}

extension GatewayServer {
  /// Makes sure that the process may have the descriptors that it needs. To be called before any of it is made: where NIO gets none, it
  /// ends the process without a word.
  ///
  /// - Parameter handed: those that it would inherit, in a trial.
  package static func checkDescriptors(
    for configuration: Configuration, besides handed: Int = 0
  ) throws(StartFailure) {
    let limit = DescriptorLimit.raise()
    let threads = configuration.server.threads ?? System.coreCount
    let needs = DescriptorNeeds.ofGateway(configuration, threads: threads)
    guard let least = limit.least(for: needs + handed) else { return }
    guard handed == 0 else {
      throw StartFailure(
        description:
          "the limit on open files is \(limit.descriptors), and \(handed) of them would be handed over: with those this configuration needs at least \(least); \(DescriptorLimit.howToRaiseWhileRunning(getppid()))"
      )
    }
    let connections = configuration.server.connections ?? DescriptorLimit.usualConnections
    let needed = limit.needed(for: connections, of: configuration, threads: threads)
    throw StartFailure(
      description:
        "the limit on open files is \(limit.descriptors), and this configuration needs at least \(least), or \(needed) for \(connections) connections: \(DescriptorLimit.howToRaise)"
    )
  }
}

extension DescriptorLimit {
  /// What keeps a command from talking to a server, in a sentence; nil where nothing does.
  package static func shortageOfClient() -> String? {
    let limit = raise()
    return limit.least(for: DescriptorNeeds.ofClient()).map {
      "the limit on open files is \(limit.descriptors), and this command needs at least \($0): \(howToRaise)"
    }
  }

  /// What keeps this process from trying another program, in a sentence; nil where nothing does.
  static func shortageOfUpgrade() -> String? {
    let limit = raise()
    guard !Descriptor.canOpen(DescriptorNeeds.upgrade) else { return nil }
    return
      "the limit on open files is \(limit.descriptors), \(openCount()) are open, and an upgrade needs \(DescriptorNeeds.upgrade) more; \(howToRaiseWhileRunning(getpid()))"
  }

  /// - Parameter process: of the gateway.
  fileprivate static func howToRaiseWhileRunning(_ process: pid_t) -> String {
    "raise it with \"prlimit --pid \(process) --nofile=NUMBER:NUMBER\", and with LimitNOFILE= or ulimit -n for the next start"
  }

  static let howToRaise =
    "raise it with LimitNOFILE= in the systemd unit, or with ulimit -n in the shell that starts Sluice"
  /// Fewer are not what anybody wants who does not say so.
  static let fewConnections = 100
  /// What a limit is proposed for where nobody has said how many there may be.
  static let usualConnections = 1000

  fileprivate static func upstream(_ configuration: Configuration) -> Int {
    configuration.served.hasSecureUpstreams
      ? 1 + DescriptorRoom.pair : configuration.served.hasUpstreams ? 1 : 0
  }

  /// Left for files, the log, and what the runtime opens.
  static let reserve = 64

  private static let extraRange = 8...256
  private static let pairRange = 1...16

  /// - Parameters:
  ///   - configuration: says what a connection may need.
  ///   - threads: workers.
  func shares(for configuration: Configuration, threads: Int) -> DescriptorShares {
    let extras = min(
      max(descriptors / (16 * threads), Self.extraRange.lowerBound), Self.extraRange.upperBound)
    let perThread =
      DescriptorNeeds.reactor + DescriptorNeeds.listeners(of: configuration)
      + (configuration.served.hasSecureUpstreams ? DescriptorNeeds.eventLoop : 0) + extras
    let hosts = DescriptorNeeds.redisHosts(of: configuration)
    let pairs =
      configuration.server.tls == nil
      ? 0 : min(max(descriptors / 64, Self.pairRange.lowerBound), Self.pairRange.upperBound)
    let upstream = Self.upstream(configuration)
    let others =
      threads * perThread + DescriptorNeeds.redisHost * hosts + pairs * DescriptorRoom.pair
      + DescriptorNeeds.views(of: configuration, threads: threads)
    let connections = connections(upstream: upstream, others: Self.reserve + others)
    return DescriptorShares(connections: connections, each: 1 + upstream, pairs: pairs, extras: extras)
  }

  /// - Parameters:
  ///   - upstream: descriptors of the connection behind one of a client. Those that are beyond the limit, and refused in words, have none.
  ///   - others: what is not a connection.
  func connections(upstream: Int, others: Int = reserve) -> Int {
    let left = descriptors - others
    let beyond = GatewayState.beyond(left / (1 + upstream))
    return max(1, (left - beyond) / (1 + upstream))
  }

  /// How many descriptors so many connections need.
  func needed(for connections: Int, of configuration: Configuration, threads: Int) -> Int {
    // What is wanted grows with the limit, a little faster than by the factor that it is short of.
    var limit = self
    limit.descriptors = (descriptors + 63) / 64 * 64
    while limit.shares(for: configuration, threads: threads).connections < connections {
      limit.descriptors += max(64, limit.descriptors / 64)
    }
    return limit.descriptors
  }
}
