import GatewayConfig
import Glibc
import Sessions
import Synchronization
import Transport

// What a service manager like systemd hears of the gateway, and has opened for it.

extension GatewayServer {
  /// The listening sockets that were opened for this process, for the addresses of the file.
  ///
  /// - Throws: `StartFailure` where one of them is for an address that the file does not have: its clients would never be answered.
  func activatedListeners() throws -> [InheritedListener] {
    guard let environment = source?.environment else { return [] }
    var sockets: InheritedSockets
    do {
      sockets = try InheritedSockets(from: environment)
    } catch {
      throw StartFailure(description: "the sockets of the service manager cannot be used: \(error)")
    }
    var listeners: [InheritedListener] = []
    for wanted in configuration.server.listeners {
      let found: Listener? =
        switch wanted.address {
        case .tcp(let host, let port): sockets.take(host: host, port: port)
        case .unix(let path): sockets.take(path: path)
        }
      guard let found else { continue }
      var listener = InheritedListener(
        wanted.address, worker: 0, descriptor: found.take(), isLent: true)
      // systemd names its sockets after their units.
      let name = InheritedSockets.name(of: listener.descriptor, in: environment)
      listener.unit = name.flatMap { $0.hasSuffix(".socket") ? $0 : nil }
      listeners.append(listener)
    }
    guard let stray = sockets.endpoints.first else { return listeners }
    for listener in listeners { _ = Descriptor(adopting: listener.descriptor) }
    throw StartFailure(
      description:
        "the service manager has opened a socket for \(Self.name(of: stray)), which is no address of server.bind: name the same address in both places"
    )
  }

  /// Why an address that the service manager has opened a socket for has to stay.
  static func keeping(_ address: String, of unit: String?) -> String {
    "server.bind has \(address) no more, and \(unit ?? "the service manager") holds a socket for it, whose clients nobody would answer: keep the address, or stop \(unit ?? "the socket unit") and restart the gateway"
  }

  private static func name(of endpoint: Endpoint) -> BindAddress {
    switch endpoint {
    case .tcp(let host, let port): .tcp(host: host, port: port)
    case .unix(let path): .unix(path: path)
    }
  }

  /// - Returns: the thread that tells that the gateway is alive, which must be stopped and joined; nil where nobody listens.
  func startServiceWatch(_ parts: RunningParts) throws -> ReactorThread? {
    guard let service else { return nil }
    service.tell(.ready(status: serviceStatus))
    let reactors = parts.workers.map { worker in
      { @Sendable (answer: @escaping @Sendable () -> Void) -> Void in
        worker.mailbox.post(.perform { _ in answer() })
      }
    }
    return try ServiceWatch(service, reactors: reactors) { [self] in serviceStatus }.start()
  }

  /// For people, in one line.
  var serviceStatus: String {
    let addresses = current.sockets.withLock { $0?.addresses ?? [] }
    let count = gateway.process.counters.sessions.count
    var parts = ["\(count) session\(count == 1 ? "" : "s")"]
    if !addresses.isEmpty { parts.append("listening on \(addresses.map(\.url).joined(separator: ", "))") }
    if let refusal = current.refusal { parts.append("the last reload was refused: \(refusal)") }
    return parts.joined(separator: "; ").filter { !$0.isNewline }
  }
}
