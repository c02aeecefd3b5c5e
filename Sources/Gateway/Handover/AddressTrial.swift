import GatewayConfig
import Transport

/// Finds out before an upgrade whether the new program could listen where its file says. Nothing is changed by it, and nobody can connect
/// meanwhile.
///
/// Once it is executed, it would go on without an address that it cannot have. What the process that it takes the place of listens on is
/// handed over, or closed by then, and is not tried.
struct AddressTrial {
  var listeners: [InheritedListener]
  /// Where the process answers commands; nil where that is not known.
  var commands: [BindAddress]?
  /// Its number.
  var process: Int32

  func check(_ server: ServerConfiguration) throws(GatewayServer.StartFailure) {
    if let lent = listeners.first(where: { $0.isLent && !isWanted($0, server) }) {
      throw GatewayServer.StartFailure(description: GatewayServer.keeping(lent.address, of: lent.unit))
    }
    for wanted in server.listeners {
      if let known = listeners.first(where: { $0.isFound(at: wanted.address) }) {
        try checkFile(of: known, wanted.options)
      } else {
        do throws(TransportFailure) {
          try ListeningSockets.tryOpening(
            wanted, all: server.listeners,
            isShared: server.reusesPort || bound.contains { $0.mayOverlap(wanted.address) })
        } catch {
          throw ListeningSockets.failure(toOpen: wanted.address, error)
        }
      }
    }
    try checkCommands(server)
  }

  private var bound: [BindAddress] { listeners.compactMap { BindAddress($0.bound) } }

  private func isWanted(_ listener: InheritedListener, _ server: ServerConfiguration) -> Bool {
    server.listeners.contains { listener.address == "\($0.address)" }
  }

  private func checkFile(
    of listener: InheritedListener, _ options: BindOptions
  ) throws(GatewayServer.StartFailure) {
    guard let file = listener.file,
      ListeningSockets.Gift.isNeeded(options, after: listener.options)
    else { return }
    do throws(TransportFailure) {
      try ListeningSockets.Gift(file: file, before: listener.options, options: options).rehearse()
    } catch {
      throw ListeningSockets.failure(toGive: file, error)
    }
  }

  private func checkCommands(_ server: ServerConfiguration) throws(GatewayServer.StartFailure) {
    do throws(AdminSocket.Fault) {
      switch server.admin {
      case .nowhere, .standard: break
      case .unix(let path):
        try AdminSocket.tryOpening(
          firstOf: AdminSockets.paths(path, isShared: server.reusesPort), insteadOf: process)
      case .loopback(let host, let port, _):
        let address = BindAddress.tcp(host: host, port: port)
        guard let commands, !(commands + bound).contains(where: { $0.mayOverlap(address) }) else { return }
        try AdminSocket.tryOpening(host: host, port: port)
      }
    } catch {
      throw AdminSockets.failure(toOpen: server.admin, error)
    }
  }
}

extension AddressTrial {
  /// For the program that would take over: of its parent.
  init(of record: GatewayRecord, process: Int32) {
    // A gateway that answers no commands at all is rare, and one that has not said where is of another version.
    let commands = record.commands.compactMap { BindAddress($0.address) }
    self.init(
      listeners: record.listeners, commands: commands.isEmpty ? nil : commands, process: process)
  }
}
