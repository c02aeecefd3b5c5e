import Consumers
import GatewayConfig
import Logging
import Routing
import Synchronization
import Transport
import WebSocketCore

/// The state that all workers and the HTTP service share: what is served, the channel layers, and the counts for the limits.
///
/// Used for each connection, never for each message.
final class GatewayState: Sendable {
  /// What new requests are matched with.
  let served: ServedApplication
  let layers: GatewayLayers
  let server: ServerConfiguration
  let log: Logger
  /// `logging.sessions`
  let logsSessions: Bool
  let counters = GatewayCounters()
  let upstreamFailures: UpstreamFailures
  /// For events in the control group that are not control events.
  let unfitOrders: UnfitEvents
  let compressionContexts: MemoryBudget
  let httpMemory: HTTPMemory
  /// The memory of the process, determined at the start.
  let memory: MemoryLimit
  /// `limits.send_memory`: unsent bytes.
  let sendMemory: MemoryBound
  /// The part of it for reactors' mailboxes.
  let mail: MailBound
  /// `limits.receive_memory`: unfinished messages.
  let receiveMemory: MemoryBound
  let threads: Int
  /// How long an HTTP client may owe the system an answer before it is taken to be gone.
  let clientSilence: Duration
  let memoryReturn: MemoryReturnThread

  /// `limits.connections`: sessions and HTTP connections together.
  let connectionLimit: Int
  /// Between the two limits only HTTP requests are served. Beyond this, a connection is one of the worker's extra ones, of
  /// which only health checks are answered.
  let acceptLimit: Int
  /// The most extra connections of a worker, of each kind.
  let extraConnections: Int
  let acceptFailures: AcceptFailures
  /// `limits.per_ip`; nil if nothing is limited.
  let addresses: AddressTable?
  let addressRefusals: AddressRefusals
  let httpRefusals: HTTPRefusals
  let unbelieved: UnbelievedProxies

  /// How many connections beyond a limit are accepted.
  static func beyond(_ limit: Int) -> Int { max(16, min(limit / 8, 256)) }

  private let readiness = Atomic<Bool>(false)

  init(
    _ configuration: Configuration, threads: Int, connectionLimit: Int, extraConnections: Int,
    clientSilence: Duration = KeepAliveProbes.bound, log: Logger
  ) {
    self.clientSilence = clientSilence
    let memory = MemoryLimit.ofProcess()
    self.memory = memory
    let sendMemory = MemoryBound(
      configuration.server.sendMemory, otherwise: memory.bytes / 4, .sending, log: log)
    self.sendMemory = sendMemory
    let mail = MailBound(of: sendMemory.budget, among: threads, log: log)
    self.mail = mail
    let layers = GatewayLayers(configuration, log: log) { mail.refused() }
    self.layers = layers
    server = configuration.server
    self.connectionLimit = connectionLimit
    acceptLimit = connectionLimit + Self.beyond(connectionLimit)
    self.extraConnections = extraConnections
    addresses = AddressTable(configuration.server.perAddress, of: connectionLimit)
    addressRefusals = AddressRefusals(log: log)
    unbelieved = UnbelievedProxies(log: log)
    acceptFailures = AcceptFailures(log: log)
    self.log = log
    logsSessions = configuration.logging.sessions
    httpRefusals = HTTPRefusals(log: log)
    let upstreamFailures = UpstreamFailures(log: log)
    self.upstreamFailures = upstreamFailures
    served = ServedApplication(configuration, layers, failures: upstreamFailures, log: log)
    unfitOrders = UnfitEvents(
      known: [DisconnectOrder.type], report: UnfitEvents.logging(to: log, route: ControlMember.group))
    compressionContexts = MemoryBudget(total: configuration.server.compressionMemory.bytes)
    memoryReturn = MemoryReturnThread(layers.historyMemory, log: log)
    self.threads = threads
    httpMemory = HTTPMemory(configuration, of: memory)
    receiveMemory = MemoryBound(
      configuration.server.receiveMemory, otherwise: memory.bytes / 8, .receiving, log: log)
  }

  /// Whether new sessions are accepted: between the first accept and the stop, while all channel layers are available.
  var isReady: Bool { readiness.load(ordering: .relaxed) && layers.areAvailable }

  /// What the connection with this number may become.
  func allowance(of count: Int) -> Allowance {
    count <= connectionLimit ? .session : .onlyHTTP
  }

  func setReady(_ ready: Bool) {
    readiness.store(ready, ordering: .relaxed)
  }
}

/// Counts over all workers.
final class GatewayCounters: Sendable {
  /// Open now: sessions, handshakes under way and HTTP connections.
  let connections = Atomic<Int>(0)
  /// Open now.
  let sessions = Atomic<Int>(0)
  /// Since the start.
  let sessionsOpened = Atomic<Int>(0)
  let refusals = Atomic<Int>(0)
  let slowReaders = Atomic<Int>(0)
  let pingTimeouts = Atomic<Int>(0)
  /// Clients that were found to be gone without closing the connection.
  let vanishedClients = Atomic<Int>(0)
  let protocolViolations = Atomic<Int>(0)
  let tlsFailures = Atomic<Int>(0)
}

extension GatewayCounters {
  /// For the last line of the log.
  var summary: Logger.Metadata {
    [
      "sessions": "\(sessionsOpened.count)", "refused": "\(refusals.count)",
      "slow-readers": "\(slowReaders.count)", "ping-timeouts": "\(pingTimeouts.count)",
      "vanished-clients": "\(vanishedClients.count)",
      "protocol-violations": "\(protocolViolations.count)", "tls-failures": "\(tlsFailures.count)",
    ]
  }
}

extension GatewayState {
  /// For the last line of the log.
  var summary: Logger.Metadata {
    var facts = counters.summary
    facts["given-way"] = "\(sendMemory.evictions.count)"
    facts["refused-events"] = "\(mail.refusals.count)"
    facts["given-up-messages"] = "\(receiveMemory.evictions.count)"
    facts["longest-trim"] = "\(memoryReturn.longestPause.count)us"
    return facts
  }
}

extension Atomic where Value == Int {
  /// Adds one and returns the new count.
  @discardableResult
  func up() -> Int {
    add(1, ordering: .relaxed).newValue
  }

  func down() {
    subtract(1, ordering: .relaxed)
  }

  var count: Int { load(ordering: .relaxed) }
}
