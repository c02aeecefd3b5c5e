import Consumers
import GatewayConfig
import Logging
import NIOCore
import Sessions
import Synchronization
import Transport

/// The state that all workers and the HTTP service share: what the sessions share, and what belongs to the server around them.
///
/// Used for each connection, never for each message.
final class GatewayState: Sendable {
  /// What the sessions share.
  let process: ProcessState
  let surroundings: ServedApplication.Surroundings
  private let current: Mutex<ServedApplication>
  /// For events in the control group that are not control events.
  let unfitOrders: UnfitEvents
  let httpMemory: HTTPMemory
  /// The part of `limits.send_memory` for reactors' mailboxes.
  let mail: MailBound
  /// How long an HTTP client may owe the system an answer before it is taken to be gone.
  let clientSilence: Duration
  let memoryReturn: MemoryReturnThread

  private let mostConnections: Atomic<Int>
  let room: DescriptorRoom
  /// The most extra connections of a worker, of each kind.
  let extraConnections: Int
  let acceptFailures: AcceptFailures

  /// What new requests are matched with.
  var served: ServedApplication { current.withLock { $0 } }
  var layers: GatewayLayers { surroundings.layers }
  var publisher: Publisher { surroundings.publisher }
  var httpRefusals: HTTPRefusals { surroundings.httpRefusals }

  /// How many connections beyond a limit are accepted.
  static func beyond(_ limit: Int) -> Int { max(16, min(limit / 8, 256)) }

  init(
    _ configuration: Configuration, threads: Int, connectionLimit: Int, extraConnections: Int,
    room: DescriptorRoom = .unbounded, clientSilence: Duration = KeepAliveProbes.bound,
    loops: any EventLoopGroup, resuming record: GatewayRecord? = nil, log: Logger
  ) {
    self.clientSilence = clientSilence
    let memory = MemoryLimit.ofProcess()
    let sendMemory = MemoryBound(
      configuration.server.sendMemory, otherwise: memory.bytes / 4, .sending, log: log)
    let mail = MailBound(of: sendMemory.budget, among: threads, log: log)
    self.mail = mail
    let layers = GatewayLayers(
      configuration, resuming: record?.layers ?? [], leaving: record?.remains ?? [], log: log
    ) { mail.refused() }
    let process = ProcessState(
      configuration, layers.layers(for: configuration, after: nil).served, sendMemory: sendMemory,
      memory: memory, threads: threads,
      connectionLimit: connectionLimit, loops: loops, resuming: record?.rates, log: log)
    self.process = process
    let httpMemory = HTTPMemory(configuration, of: memory)
    self.httpMemory = httpMemory
    let surroundings = ServedApplication.Surroundings(
      process: process, layers: layers, publisher: Publisher(memory: httpMemory) { mail.refused($0) },
      httpRefusals: HTTPRefusals(log: log))
    self.surroundings = surroundings
    current = Mutex(ServedApplication(process.served, in: surroundings))
    mostConnections = Atomic(connectionLimit)
    self.room = room
    self.extraConnections = extraConnections
    acceptFailures = AcceptFailures(log: log)
    unfitOrders = UnfitEvents(
      known: ControlOrder.Kind.types, report: UnfitEvents.logging(to: log, route: ControlMember.group))
    if let record {
      surroundings.publisher.answers.resume(record.answers)
      for order in record.orders.compactMap(\.order) { process.orders.add(order) }
      process.orders.resume(record.lifted)
    }
    memoryReturn = MemoryReturnThread(layers.historyMemory, log: log)
  }

  /// `limits.connections`: sessions and HTTP connections together.
  var connectionLimit: Int { mostConnections.load(ordering: .relaxed) }

  /// Serves other routes to new requests. Every worker has an end of their layers.
  func serve(_ routes: ServedRoutes) {
    let served = ServedApplication(routes, in: surroundings)
    // Together, so that two exchanges at a time leave one of the two everywhere.
    current.withLock {
      process.serve(served.routes)
      $0 = served
    }
  }

  /// Other limits hold from now on.
  func limit(_ server: ServerConfiguration, connections: Int, _ shares: DescriptorShares) {
    mostConnections.store(connections, ordering: .relaxed)
    room.divide(shares)
    process.limit(server, connections: connections)
  }

  /// What the connection with this number may become.
  func allowance(of count: Int) -> Allowance {
    count <= limit ? .session : .onlyHTTP
  }

  /// Beyond `limits.connections` only HTTP requests are served. Beyond this, a connection is one of the worker's extra ones, of which
  /// only health checks are answered.
  var acceptLimit: Int { limit + Self.beyond(connectionLimit) }

  private var limit: Int { min(connectionLimit, room.forConnections) }

  /// For the last line of the log.
  var summary: Logger.Metadata {
    var facts = process.counters.summary
    facts.merge(process.views.summary) { $1 }
    if process.server.handshakes != nil { facts["refused-handshakes"] = .number(process.handshakes.refused) }
    facts["given-way"] = "\(process.sendMemory.evictions.count)"
    facts["refused-events"] = "\(mail.refusals.count)"
    facts["given-up-messages"] = "\(process.receiveMemory.evictions.count)"
    facts["longest-trim-us"] = .number(memoryReturn.longestPause.count)
    facts["accept-failures"] = "\(acceptFailures.total.count)"
    return facts
  }
}
