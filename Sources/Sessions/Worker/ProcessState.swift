package import ChannelLayers
package import GatewayConfig
package import Logging
package import NIOCore
package import Synchronization
package import Transport

/// What the sessions of all workers, and the HTTP service, share: what is served, the channel layers, and the counts for the limits.
///
/// Used for each connection, never for each message.
package final class ProcessState: Sendable {
  private let current: Mutex<ServedRoutes>
  package let log: Logger
  package let counters: ProcessCounters
  let tlsFailures: TLSFailures
  package let upstreamFailures: UpstreamFailures
  /// Those of the routes that are served.
  private let routeViews: RouteViews
  /// For HTTP, and for connections to upstreams.
  package let loops: any EventLoopGroup
  let compressionContexts: MemoryBudget
  /// `limits.send_memory`: unsent bytes.
  package let sendMemory: MemoryBound
  /// `limits.receive_memory`: unfinished messages.
  package let receiveMemory: MemoryBound
  package let threads: Int
  private let addressTable: AddressTable
  private let userTable: UserTable
  /// `limits.handshakes`.
  package let handshakes: HandshakeRate
  let ratePace = SharedLogPace(most: 4)
  let viewPace = SharedLogPace(most: 4)
  /// A refused client may come thousands of times in a second.
  let addressPace = SharedLogPace(most: 4)
  let unbelieved: UnbelievedProxies
  package let orders = StandingOrders()
  let refusedOrders = RefusedOrders()
  /// The sessions that views are to be told the end of.
  package let views: ViewLedger

  private let readiness = Atomic<Bool>(false)

  /// - Parameters:
  ///   - memory: of the process.
  ///   - connectionLimit: `limits.connections`.
  ///   - rates: of the process that this one takes the place of.
  package init(
    _ configuration: Configuration, _ layers: ServedLayers, sendMemory: MemoryBound, memory: MemoryLimit,
    threads: Int, connectionLimit: Int, loops: any EventLoopGroup, resuming rates: RateState? = nil,
    log: Logger
  ) {
    self.sendMemory = sendMemory
    receiveMemory = MemoryBound(
      configuration.server.receiveMemory, otherwise: memory.bytes / 8, .receiving, log: log)
    self.threads = threads
    addressTable = AddressTable(configuration.server.perAddress, of: connectionLimit, resuming: rates)
    userTable = UserTable(configuration.server.perUser, resuming: rates)
    handshakes = HandshakeRate(configuration.server.handshakes, resuming: rates?.ofAll, log: log)
    let counters = ProcessCounters()
    self.counters = counters
    tlsFailures = TLSFailures(counters, log: log)
    unbelieved = UnbelievedProxies(log: log)
    self.log = log
    let upstreamFailures = UpstreamFailures(log: log)
    self.upstreamFailures = upstreamFailures
    self.loops = loops
    let routeViews = RouteViews(failures: upstreamFailures, log: log)
    self.routeViews = routeViews
    let routes = ServedRoutes(
      configuration, layers, on: loops, failures: upstreamFailures, views: routeViews, log: log)
    routeViews.keep(routes.routes)
    current = Mutex(routes)
    views = ViewLedger(log: log)
    views.serve(routes.routes)
    for layer in layers.all { layer.records?.connect(to: views) }
    compressionContexts = MemoryBudget(total: configuration.server.compressionMemory.bytes)
  }

  /// What new requests are matched with.
  package var served: ServedRoutes { current.withLock { $0 } }

  package var layers: ServedLayers { served.layers }
  package var server: ServerConfiguration { served.server }

  /// `limits.per_ip`; nil if nothing is limited.
  package var addresses: AddressTable? { addressTable.isLimiting ? addressTable : nil }
  /// `limits.per_user`; nil if nothing is limited.
  package var users: UserTable? { userTable.isLimiting ? userTable : nil }

  /// What addresses, users and all clients together have used of their rates, for the process that takes this one's place.
  package var rates: RateState {
    var state = RateState()
    userTable.add(to: &state)
    addressTable.add(to: &state)
    state.ofAll = handshakes.handed
    return state
  }

  /// Has the ends of sessions that layers keep told to views, before the layers run.
  package func connect(_ layers: [any LayerBackend]) {
    for layer in layers { layer.records?.connect(to: views) }
  }

  /// Makes the routes of another configuration ready.
  ///
  /// - Parameter layers: those of the configuration; nil for those of now.
  package func routes(of configuration: Configuration, _ layers: ServedLayers? = nil) -> ServedRoutes {
    let current = served
    return ServedRoutes(
      configuration, layers ?? current.layers, on: loops, failures: upstreamFailures, views: routeViews,
      after: current, log: log)
  }

  /// Other limits hold from now on, for what comes and for what is there.
  package func limit(_ server: ServerConfiguration, connections: Int) {
    addressTable.limit(server.perAddress, of: connections)
    userTable.limit(server.perUser)
    handshakes.limit(server.handshakes)
  }

  /// Has views that are asked on by what the files of authorities say now. Others read theirs when they are made.
  package func renewTrust() { routeViews.renewTrust() }

  /// Matches new requests with other routes. Every worker has an end of their layers, and is told by the caller.
  package func serve(_ routes: ServedRoutes) {
    routeViews.keep(routes.routes)
    current.withLock { $0 = routes }
    views.serve(routes.routes)
    refusedOrders.forget()
  }

  /// Whether new sessions are accepted: between the first accept and the stop, while all channel layers are available.
  var isReady: Bool { readiness.load(ordering: .relaxed) && layers.unavailable.isEmpty }

  package func setReady(_ ready: Bool) {
    readiness.store(ready, ordering: .relaxed)
  }
}

/// Counts over all workers.
package final class ProcessCounters: Sendable {
  /// Open now: sessions, handshakes under way and HTTP connections.
  package let connections = Atomic<Int>(0)
  /// Open now.
  package let sessions = Atomic<Int>(0)
  /// Since the start.
  let sessionsOpened = Atomic<Int>(0)
  package let refusals = Atomic<Int>(0)
  let slowReaders = Atomic<Int>(0)
  let pingTimeouts = Atomic<Int>(0)
  /// Clients that were found to be gone without closing the connection.
  let vanishedClients = Atomic<Int>(0)
  let protocolViolations = Atomic<Int>(0)
  let tlsFailures = Atomic<Int>(0)

  /// For the last line of the log.
  package var summary: Logger.Metadata {
    [
      "sessions": "\(sessionsOpened.count)", "refused": "\(refusals.count)",
      "slow-readers": "\(slowReaders.count)", "ping-timeouts": "\(pingTimeouts.count)",
      "vanished-clients": "\(vanishedClients.count)",
      "protocol-violations": "\(protocolViolations.count)", "tls-failures": "\(tlsFailures.count)",
    ]
  }
}

extension Atomic where Value == Int {
  /// Adds one and returns the new count.
  @discardableResult
  package func up() -> Int {
    add(1, ordering: .relaxed).newValue
  }

  package func down() {
    subtract(1, ordering: .relaxed)
  }

  package var count: Int { load(ordering: .relaxed) }
}
