import GatewayConfig
import Glibc
import Transport

/// Connects a worker to the server of a view: on the reactor itself to an address that is known, which costs a few system calls. A name
/// is looked up elsewhere, and what was found is remembered for a short while.
final class LinkDialer {
  private let upstream: UpstreamConfiguration
  private let shared: SharedLinks
  // Unowned: the worker lives while its reactor runs.
  private unowned let worker: WorkerSessions
  /// Nil for a name.
  private let address: ServerAddress?
  /// What a name led to, and until when that holds.
  private var found: (address: ServerAddress, until: MonotonicTime)?
  private var waiting: [HTTPLink] = []
  private var retry: Timer?

  /// How long the address that a name has led to is used.
  private static let memory = Duration.seconds(10)
  /// After how long a Unix socket is tried again whose server has too many connections to accept.
  private static let pause = Duration.milliseconds(16)

  init(_ shared: SharedLinks, of worker: WorkerSessions) {
    upstream = shared.upstream
    self.shared = shared
    self.worker = worker
    address =
      upstream.socket.map { ServerAddress(unixPath: $0) }
      ?? ServerAddress(numeric: upstream.host, port: upstream.port)
  }

  /// Connects the link, or fails it.
  func connect(_ link: HTTPLink) {
    if let address { return connect(link, to: address) }
    if let found, worker.reactor.now < found.until { return connect(link, to: found.address) }
    lookUp(for: link)
  }

  private func connect(_ link: HTTPLink, to address: ServerAddress) {
    do throws(TransportFailure) {
      let connection =
        switch shared.tls {
        case nil: try worker.reactor.connect(to: address, handler: link)
        case .success(let context)?:
          try worker.reactor.connect(to: address, handler: link, tls: context, name: upstream.host)
        case .failure(let fault)?: throw TransportFailure.cannotResolve("\(fault)")
        }
      link.connect(by: connection)
    } catch {
      // A Unix socket whose server has not accepted those that came before says so at once.
      guard error == .cannotConnect(EAGAIN) else { return fail(link, error) }
      wait(with: link)
    }
  }

  private func fail(_ link: HTTPLink, _ error: any Error) {
    let fault = AnswerFault(error, from: upstream)
    link.fail(fault.reason, hint: fault.hint)
  }

  private func wait(with link: HTTPLink) {
    waiting.append(link)
    guard waiting.count == 1 else { return }
    // Unowned: the links that wait keep it, and it is cancelled where none waits.
    let timer = retry ?? worker.reactor.timer { [unowned self] in tryAgain() }
    retry = timer
    timer.schedule(after: Self.pause)
  }

  private func tryAgain() {
    let links = waiting
    waiting = []
    for link in links where link.isConnecting { connect(link) }
  }

  /// Has the name looked up again for the next connection.
  func forget() { found = nil }

  // MARK: - Names

  /// The first connection is made with the look-up, which tries all addresses of the name.
  private func lookUp(for link: HTTPLink) {
    worker.connect(to: upstream) { [self] outcome in
      switch outcome {
      case .success(let raw): adopt(Descriptor(adopting: raw), for: link)
      case .failure(let error): fail(link, error)
      }
    }
  }

  private func adopt(_ descriptor: consuming Descriptor, for link: HTTPLink) {
    if let address = ServerAddress(serverOf: descriptor.rawValue) {
      found = (address, worker.reactor.now + Self.memory)
    }
    switch shared.tls {
    case nil: link.connect(by: worker.reactor.adopt(descriptor, handler: link))
    case .success(let context)?:
      link.connect(
        by: worker.reactor.adopt(descriptor, handler: link, tls: context, connectingTo: upstream.host))
    case .failure(let fault)?: link.fail("\(fault)")
    }
  }
}
