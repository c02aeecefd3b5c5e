package import GatewayConfig
import Glibc
package import Transport

/// A gateway that a command can speak with.
package struct RunningGateway: Sendable, Hashable {
  package var address: BindAddress
  /// Nil for a Unix socket.
  package var token: Secret?
  /// Nil where the system does not say it.
  package var process: PeerCredentials?
  /// Whether only what a file says leads to it: it may be the gateway of another one that says the same.
  package var isWritten = false
}

/// Finds the gateways that run with a configuration file, by the name of the file and by what it says.
package struct AdminSearch: Sendable {
  /// As it is named on the command line.
  private let file: String
  /// From the root on.
  package let path: String
  private let environment: [String: String]
  private let folders: [RunDirectory]

  /// - Parameter file: as it is named on the command line.
  package init(for file: String, environment: [String: String]) {
    self.init(
      for: file, environment: environment,
      folders: RunDirectory.searched(
        environment: environment, user: geteuid(), owner: Disk().owner(of: file)))
  }

  init(for file: String, environment: [String: String], folders: [RunDirectory]) {
    self.file = file
    path = WorkingFolder.path(file, environment: environment)
    self.environment = environment
    self.folders = folders
  }

  /// Why there is none.
  package struct Nobody: Error, CustomStringConvertible {
    /// For programs.
    package var code = "no-gateway"
    /// A sentence with what was tried, and what to do.
    package var description: String
  }

  /// Whether a gateway that names its file so, from the root on, serves the file that is searched for.
  package func isServed(by served: String) -> Bool {
    Disk().isSameFile(served, path) || AdminName.names(of: served).first == AdminName.names(of: path).first
  }

  private struct Found {
    var gateways: [RunningGateway] = []
    /// Sockets of which only the kernel's refusal is known.
    var refused: [String] = []

    mutating func look(at path: String, isWritten: Bool = false) {
      switch SocketOccupant(at: path) {
      case .listener(let process):
        // A link leads to the same socket.
        let isKnown = process != nil && gateways.contains { $0.process == process }
        if !isKnown {
          gateways.append(
            RunningGateway(address: .unix(path: path), token: nil, process: process, isWritten: isWritten))
        }
      case .unknown(EACCES), .unknown(EPERM): refused.append(path)
      case .nobody, .left, .unknown: return
      }
    }
  }

  /// The gateways that answer: over the sockets that the name of the file leads to, or else where the file says.
  ///
  /// The names come first, because they are right whatever the file says by now.
  package func find() throws(Nobody) -> [RunningGateway] {
    var found = Found()
    let names = AdminName.names(of: path, also: file)
    for folder in folders {
      guard (try? folder.check()) != nil else { continue }
      for path in names.flatMap({ $0.paths(in: folder) }) { found.look(at: path) }
    }
    let written = WrittenAdmin(in: file, environment: environment)
    if found.gateways.isEmpty, case .address(let address) = written {
      switch address {
      case .unix(let path): for path in AdminName.paths(from: path) { found.look(at: path, isWritten: true) }
      case .loopback(let host, let port, let token):
        return [RunningGateway(address: .tcp(host: host, port: port), token: token, isWritten: true)]
      case .standard, .nowhere: break
      }
    }
    guard found.gateways.isEmpty else { return found.gateways }
    if let refused = found.refused.first {
      throw Nobody(
        code: "foreign-user",
        description:
          "the gateway of \(file) runs as another user: \(refused) may not be connected to; run this as that user, or as root"
      )
    }
    if case .address(.nowhere) = written {
      throw Nobody(
        code: "no-commands",
        description:
          "whether a gateway of \(file) runs is not known: it would take no commands, because server.admin is false; SIGHUP and SIGTERM reach one that runs"
      )
    }
    throw Nobody(description: sentence(names, written))
  }

  private func sentence(_ names: [AdminName], _ written: WrittenAdmin) -> String {
    let isThere = Disk().isFile(file)
    switch written {
    case .unreadable(let fault) where isThere:
      return
        "no gateway of \(file) was found: nothing listens on \(standard(names)), and where else it may be is not known (\(fault)); \(elsewhere)"
    case .unreadable:
      return
        "there is no file \(file), and nothing listens on \(standard(names)): name the file that the gateway was started with; \(elsewhere)"
    case .address(.unix(let path)):
      return
        "no gateway of \(file) was found: nothing listens on \(path), nor on \(standard(names)); \(advice)"
    case .address: return "no gateway of \(file) was found: nothing listens on \(standard(names)); \(advice)"
    }
  }

  private var advice: String { "\(elsewhere); if none runs, \"sluice serve \(file)\" starts one" }

  /// Where it was looked for, and what leads to those that are not there.
  private var elsewhere: String {
    let looked = folders.map(\.path).joined(separator: ", ")
    return
      "looked for it in \(looked); one that was started with RUNTIME_DIRECTORY or TMPDIR is found with the same variable, one of another user as that user"
  }

  /// Where the socket of a gateway of this user would be.
  private func standard(_ names: [AdminName]) -> String {
    let usable = folders.filter { (try? $0.check()) != nil && $0.isWritable }
    guard let name = names.first, let folder = usable.first ?? folders.first else { return "any socket" }
    return name.paths(in: folder)[0]
  }
}
