import Bytes
import Routing
import Sessions
import Transport
import WebSocketCore

/// The connections of one worker that plain requests come on, and what these share. Confined to its reactor.
final class HTTPConnections {
  /// Unowned: the worker lives while its reactor runs, and nothing uses it afterwards.
  private unowned let worker: Worker
  let responder: HTTPResponder
  private let open: PeerSweep<HTTPConnection>
  /// Once every answer is the last one of its connection: until when a request may come on one that waits.
  private(set) var lastRequests: MonotonicTime?
  /// Where the last request has led: whoever publishes sends the same target again and again.
  private var last: (target: [UInt8], place: HTTPPlace?, routes: ServedRoutes)?
  var recurring = RecurringHeads()

  init(of worker: Worker) {
    self.worker = worker
    responder = HTTPResponder(gateway: worker.gateway)
    open = PeerSweep(on: worker.sessions.reactor, bound: worker.gateway.clientSilence)
  }

  var isStopping: Bool { lastRequests != nil }

  var sessions: WorkerSessions { worker.sessions }
  var reactor: Reactor { worker.sessions.reactor }
  var gateway: GatewayState { worker.gateway }
  var isEmpty: Bool { open.members.isEmpty }
  /// Those that are open.
  var count: Int { open.members.count }

  /// What is served to new requests, by this worker too.
  var served: ServedApplication {
    while true {
      let served = gateway.served
      if served.routes === sessions.served { return served }
      // The worker has not been told of the exchange yet.
      sessions.serveAnew()
    }
  }

  /// Where a request leads among the HTTP routes.
  func place(of target: [UInt8], among routes: ServedRoutes) -> HTTPPlace? {
    if let last, last.routes === routes, last.target == target { return last.place }
    let place = routes.httpPlace(of: target)
    last = (target, place, routes)
    return place
  }

  /// Serves a connection that begins with this request, whose bytes its handler is being given.
  func serve(_ request: FirstRequest, on connection: Connection, of client: Client) {
    let http = HTTPConnection(connection, of: client, among: self)
    open.add(http)
    connection.handler = http
    http.begin(with: request)
  }

  /// The connection is closed, or somebody else handles it now.
  ///
  /// - Parameter isClosed: whether it has a place of `limits.connections` no more.
  func remove(_ connection: HTTPConnection, isClosed: Bool) {
    open.remove(connection)
    if isClosed { gateway.process.counters.connections.down() }
    worker.httpEnded()
  }

  // MARK: - Requests that others serve

  /// Files and proxied requests are served by the HTTP service.
  ///
  /// - Parameter bytes: what was read and not handled, from the head of a request on.
  /// - Returns: false where the connection is closed or broken, or where there are no descriptors for the service.
  func handOver(_ connection: Connection, _ bytes: RawSpan, of client: Client) -> Bool {
    if connection.isSecure {
      return worker.serveHTTP(through: connection, [UInt8](copying: bytes), of: client)
    }
    guard let descriptor = connection.detach() else { return false }
    worker.http.serve(
      HandedOverConnection(
        descriptor: descriptor.take(), bytes: [UInt8](copying: bytes), client: client,
        isRelayed: connection.isRelayed))
    return true
  }

  /// Makes a session or a stream of what begins with these bytes.
  func becomeSession(_ connection: Connection, _ bytes: RawSpan, of client: Client) {
    let count = gateway.process.counters.connections.count
    sessions.open(connection, gateway.allowance(of: count), of: client, reading: bytes)
  }

  // MARK: - The end

  /// Lets the current requests be answered, and closes the other connections if no request comes soon.
  func stop(within grace: Duration) {
    lastRequests = reactor.now + LastRequests.time(within: grace)
    for connection in open.members { connection.stop() }
  }

  /// Nothing stops after all: who comes from now on may send any number of requests.
  func goOn() {
    lastRequests = nil
  }

  func abandon() {
    for connection in open.members { connection.abandon() }
  }
}
