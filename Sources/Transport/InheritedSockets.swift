import CLinux
import Glibc

/// Listening sockets that whoever started the process had opened for it (`sd_listen_fds(3)`).
///
/// The descriptors are closed together with the value, unless they are taken.
public struct InheritedSockets: ~Copyable {
  private var sockets: [(endpoint: Endpoint, descriptor: Int32)] = []

  public static var none: InheritedSockets { InheritedSockets() }

  private init() {}

  /// Takes over the descriptors that the environment names. They are kept from the programs that this process executes.
  ///
  /// - Parameter environment: `LISTEN_FDS`, the number of descriptors, and `LISTEN_PID`, the process that they are for; other values
  ///   are as good as none.
  /// - Throws: where one of them does not listen for connections.
  public init(from environment: [String: String]) throws(TransportFailure) {
    // SD_LISTEN_FDS_START: the first descriptor behind the standard ones.
    try self.init(from: environment, first: 3)
  }

  init(from environment: [String: String], first: Int32) throws(TransportFailure) {
    guard environment["LISTEN_PID"] == String(getpid()),
      let count = environment["LISTEN_FDS"].flatMap(Int32.init),
      (1...1024).contains(count)
    else { return }
    for raw in first..<first + count {
      guard Self.isListening(raw), let address = unsafe SocketAddress({ unsafe getsockname(raw, $0, $1) })
      else {
        throw TransportFailure("take over the listening socket \(raw) of LISTEN_FDS", ENOTSOCK)
      }
      _ = fcntl(raw, F_SETFD, FD_CLOEXEC)
      _ = fcntl(raw, F_SETFL, fcntl(raw, F_GETFL) | O_NONBLOCK)
      sockets.append((address.endpoint, raw))
    }
  }

  deinit {
    for socket in sockets { _ = Glibc.close(socket.descriptor) }
  }

  /// Whether it is a socket of connections that listens.
  private static func isListening(_ raw: Int32) -> Bool {
    func option(_ name: Int32) -> Int32? {
      var value: Int32 = 0
      var size = socklen_t(MemoryLayout<Int32>.size)
      return unsafe getsockopt(raw, SOL_SOCKET, name, &value, &size) == 0 ? value : nil
    }
    return option(SO_TYPE) == Int32(SOCK_STREAM.rawValue) && option(SO_ACCEPTCONN) == 1
  }

  /// The name of a descriptor (`LISTEN_FDNAMES`): that of the unit, unless its file says otherwise; nil where it has none.
  public static func name(of raw: Int32, in environment: [String: String]) -> String? {
    let names = environment["LISTEN_FDNAMES"]?.split(separator: ":", omittingEmptySubsequences: false) ?? []
    let place = Int(raw) - 3
    return names.indices.contains(place) ? String(names[place]) : nil
  }

  /// What nobody has taken yet.
  public var endpoints: [Endpoint] { sockets.map(\.endpoint) }

  /// The socket that is bound to this address; nil where none is.
  ///
  /// - Parameter host: a name or an address; all addresses that the name has are good.
  public mutating func take(host: String, port: Int) -> Listener? {
    let wanted = ((try? SocketCall.resolve(host: host, port: port, flags: AI_PASSIVE)) ?? []).map(
      \.address.endpoint)
    return take { wanted.contains($0) }
  }

  /// The Unix socket at this path; nil where none is.
  public mutating func take(path: String) -> Listener? {
    take { $0 == .unix(path: path) }
  }

  private mutating func take(where isMeant: (Endpoint) -> Bool) -> Listener? {
    guard let place = sockets.firstIndex(where: { isMeant($0.endpoint) }) else { return nil }
    return .adopting(sockets.remove(at: place).descriptor)
  }
}
