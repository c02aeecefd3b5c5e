import GatewayConfig
import Glibc
import Transport

/// A listening socket for commands.
struct AdminSocket: Sendable {
  /// The receiver owns it.
  private(set) var descriptor: Int32
  let address: BindAddress
  /// The file of the socket, and its other names.
  private(set) var files: [SocketFile] = []
  /// The process that has the first of the paths that it might have had.
  private(set) var first: PeerCredentials?
  /// The paths that it may have, by name: the first free one of each is its own.
  private var names: [[String]] = []
  /// The folder of these paths, where it may be made; nil for a path of the configuration.
  private var folder: RunDirectory?

  /// The mode of the file: nobody but the user of the process, and root, can connect.
  private static let mode: UInt32 = 0o600

  /// Why a path is not used, in words that follow a colon.
  struct Fault: Error, CustomStringConvertible {
    var description: String
  }

  private init(_ listener: consuming Listener, _ address: BindAddress) {
    descriptor = listener.take()
    self.address = address
    if case .unix(let path) = address, let file = SocketFile(path: path) { files.append(file) }
  }

  /// The absolute path of a Unix socket.
  var path: String? {
    if case .unix(let path) = address { Disk().absolute(path) } else { nil }
  }

  /// - Parameter inherited: those of the program before, of which it takes its own.
  static func tcp(
    host: String, port: Int, from inherited: inout InheritedCommands
  ) throws(Fault) -> AdminSocket {
    let address = BindAddress.tcp(host: host, port: port)
    if let descriptor = inherited.take(address) { return AdminSocket(.adopting(descriptor), address) }
    do throws(TransportFailure) {
      let listener = try Listener.tcp(host: host, port: port, reusePort: false, backlog: 64)
      guard case .tcp(_, let real) = listener.address else { throw .notASocket }
      return AdminSocket(listener, .tcp(host: host, port: real))
    } catch {
      throw Fault(description: "\(error)")
    }
  }

  /// Opens a socket in a folder, which is made where it is missing.
  ///
  /// - Parameters:
  ///   - names: for each of its names the paths that are tried.
  ///   - inherited: those of the program before, of which it takes its own.
  static func unix(
    in folder: RunDirectory, as names: [[String]], from inherited: inout InheritedCommands
  ) throws(Fault) -> AdminSocket {
    do throws(RunDirectory.Unusable) {
      try folder.prepare()
    } catch {
      throw Fault(description: "\(error)")
    }
    var socket = try unix(firstOf: names.first ?? [], from: &inherited)
    for paths in names.dropFirst() { socket.name(firstOf: paths) }
    (socket.names, socket.folder) = (names, folder)
    return socket
  }

  /// Opens the first path that no process listens on. A file that nobody listens on is replaced.
  ///
  /// - Parameter inherited: those of the program before, of which it takes its own.
  static func unix(
    firstOf paths: [String], from inherited: inout InheritedCommands
  ) throws(Fault) -> AdminSocket {
    if let (path, descriptor) = inherited.take(firstOf: paths) {
      var socket = AdminSocket(.adopting(descriptor), .unix(path: path))
      (socket.first, socket.names) = (occupant(ofFirst: paths.prefix { $0 != path }), [paths])
      return socket
    }
    var first: PeerCredentials?
    var fault = Fault(description: "there is no path")
    for path in paths {
      do throws(TransportFailure) {
        switch clear(path) {
        case nil:
          var socket = AdminSocket(try Listener.unix(path: path, mode: mode), .unix(path: path))
          (socket.first, socket.names) = (first, [paths])
          return socket
        case .listener(let credentials):
          fault = Fault(description: words(for: credentials))
          first = first ?? credentials
        case .unknown(let code) where code != 0: throw .cannotConnect(code)
        case .unknown, .nobody, .left: throw .notASocket
        }
      } catch {
        // Another process was quicker.
        if case .addressInUse = error { continue }
        throw Fault(description: "\(error)")
      }
    }
    throw fault
  }

  /// Finds out whether the first free one of these paths could be opened, without opening it.
  ///
  /// - Parameter process: a process whose place is taken: what it listens on is free by then.
  static func tryOpening(firstOf paths: [String], insteadOf process: Int32) throws(Fault) {
    var fault = Fault(description: "there is no path")
    for path in paths {
      do throws(TransportFailure) {
        switch SocketOccupant(at: path) {
        case .nobody, .left: return try ListenerTrial.folder(of: path)
        case .listener(let credentials) where credentials?.process == process: return
        case .listener(let credentials): fault = Fault(description: words(for: credentials))
        case .unknown(let code): throw code == 0 ? .notASocket : .cannotConnect(code)
        }
      } catch {
        throw Fault(description: "\(error)")
      }
    }
    throw fault
  }

  static func tryOpening(host: String, port: Int) throws(Fault) {
    do throws(TransportFailure) {
      try ListenerTrial.tcp(host: host, port: port, reusePort: false, onlyV6: false)
    } catch {
      throw Fault(description: "\(error)")
    }
  }

  /// The first process that listens at one of these paths.
  private static func occupant(ofFirst paths: ArraySlice<String>) -> PeerCredentials? {
    for path in paths { if case .listener(let process?) = SocketOccupant(at: path) { return process } }
    return nil
  }

  private static func words(for credentials: PeerCredentials?) -> String {
    guard let credentials else { return "another process listens there already" }
    return "process \(credentials.process) of the user \(credentials.user) listens there already"
  }

  /// Removes what a gateway has left that is gone.
  ///
  /// - Returns: nil where the path is free.
  private static func clear(_ path: String) -> SocketOccupant? {
    switch SocketOccupant(at: path) {
    case .nobody: nil
    case .left:
      unsafe unlink(path) == 0 || errno == ENOENT ? nil : .unknown(errno)
    case let other: other
    }
  }

  /// Gives the file of the socket the first of these names that no process listens on, as well.
  ///
  /// The name leads to this very socket: unlike a link to its path, it leads nowhere when the process is gone, whoever has the path then.
  private mutating func name(firstOf paths: [String]) {
    guard case .unix(let path) = address, let main = files.first else { return }
    // One that the program before has made.
    if let own = paths.lazy.compactMap(SocketFile.init(path:)).first(where: main.isSameFile) {
      return files.append(own)
    }
    for place in paths where Self.clear(place) == nil {
      guard unsafe Glibc.link(path, place) == 0 else { continue }
      if let file = SocketFile(path: place) { files.append(file) }
      return
    }
  }

  /// Whether its file is gone, so that commands do not find it: somebody has cleaned up, or put another one there.
  var isLost: Bool { files.first.map { $0.access == nil } ?? false }

  /// The same once more, in place of one that is lost. The receiver of that one's descriptor still has it.
  func reopened() throws(Fault) -> AdminSocket {
    // Its other names lead to the socket that nobody is to find any more.
    remove()
    var none = InheritedCommands()
    guard let folder else { return try .unix(firstOf: names.first ?? [], from: &none) }
    return try .unix(in: folder, as: names, from: &none)
  }

  /// Removes the files, unless other processes have replaced them.
  func remove() {
    for file in files { file.remove() }
  }
}
