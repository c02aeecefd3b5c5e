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

  /// `limits.connections`: sessions and HTTP connections together.
  let connectionLimit: Int
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
    loops: any EventLoopGroup, log: Logger
  ) {
    self.clientSilence = clientSilence
    let memory = MemoryLimit.ofProcess()
    let sendMemory = MemoryBound(
      configuration.server.sendMemory, otherwise: memory.bytes / 4, .sending, log: log)
    let mail = MailBound(of: sendMemory.budget, among: threads, log: log)
    self.mail = mail
    let layers = GatewayLayers(configuration, log: log) { mail.refused() }
    let process = ProcessState(
      configuration, ServedLayers(layers.all), sendMemory: sendMemory, memory: memory, threads: threads,
      connectionLimit: connectionLimit, loops: loops, log: log)
    self.process = process
    let httpMemory = HTTPMemory(configuration, of: memory)
    self.httpMemory = httpMemory
    let surroundings = ServedApplication.Surroundings(
      process: process, layers: layers, publisher: Publisher(memory: httpMemory) { mail.refused($0) },
      httpRefusals: HTTPRefusals(log: log))
    self.surroundings = surroundings
    current = Mutex(ServedApplication(process.served, in: surroundings))
    self.connectionLimit = connectionLimit
    self.room = room
    self.extraConnections = extraConnections
    acceptFailures = AcceptFailures(log: log)
    unfitOrders = UnfitEvents(
      known: ControlOrder.Kind.types, report: UnfitEvents.logging(to: log, route: ControlMember.group))
    memoryReturn = MemoryReturnThread(layers.historyMemory, log: log)
  }

  /// Serves another application to new requests. Its routes use no layer that nothing used so far.
  func serve(applicationOf configuration: Configuration) {
    let served = ServedApplication(process.routes(of: configuration), in: surroundings)
    // Together, so that two exchanges at a time leave one of the two everywhere.
    current.withLock {
      process.serve(served.routes)
      $0 = served
    }
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
    facts["given-way"] = "\(process.sendMemory.evictions.count)"
    facts["refused-events"] = "\(mail.refusals.count)"
    facts["given-up-messages"] = "\(process.receiveMemory.evictions.count)"
    facts["longest-trim"] = "\(memoryReturn.longestPause.count)us"
    facts["accept-failures"] = "\(acceptFailures.total.count)"
    return facts
  }
}
