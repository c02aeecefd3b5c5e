package import Bytes

/// `server:`, and the limits that hold for the process as a whole.
package struct ServerConfiguration: Sendable {
  /// Where to listen; `127.0.0.1:8000` unless given, or nowhere where `tls.bind` is.
  package var bind: [BindAddress] = [.tcp(host: "127.0.0.1", port: 8000)]
  /// What else `bind` says of an address, by the address; also of one that `serve --bind` names.
  package var bindOptions: [BindAddress: BindOptions] = [:]
  /// `trusted_proxies`: whose word about a client is believed.
  package var trustedProxies = TrustedProxies()
  /// Where the operator's commands reach the running gateway.
  package var admin = AdminAddress.standard
  /// Nil: TLS is spoken nowhere.
  package var tls: ServerTLS?
  /// `refusals`: how clients of WebSocket routes are refused where a route or its protocol does not say otherwise.
  package var refusals = RefusalForm.http
  /// Reactor threads; nil is one for each processor this process may use.
  package var threads: Int?
  /// `limits.connections` of the server: sessions and HTTP connections together;
  /// nil is what the descriptor limit of the process allows.
  package var connections: Int?
  /// `limits.per_ip` of the server: what one address may have.
  package var perAddress = AddressLimits()
  /// `limits.per_user` of the server: what all sessions of one user may do.
  package var perUser = UserLimits()
  /// `limits.handshakes` of the server: how many sessions and event streams may begin, all clients together; nil for any number.
  package var handshakes: Rate?
  /// `reuse_port`: whether other processes may listen on the same TCP addresses.
  package var reusesPort = false
  /// `limits.handshake` of the server: how long a client may take to send a complete request head.
  package var handshake: Duration = .seconds(10)
  /// `limits.keep_alive` of the server: how long an HTTP connection is kept on which nothing is asked.
  package var keepAlive: Duration = .seconds(60)
  /// `limits.compression_memory` of the server: what all sessions together may keep of the messages before, for
  /// `context_takeover`; beyond it they are told to keep nothing.
  package var compressionMemory = ByteCount.mebibytes(64)
  /// `limits.history_memory` of the server: what all groups together may keep in this process for `history`; beyond it those
  /// that were published to longest ago lose theirs.
  package var historyMemory = ByteCount.mebibytes(64)

  /// `limits.body_memory` of the server: what HTTP clients together may make the process hold of requests that are not carried
  /// out yet, bodies for `publish` above all; beyond it they are refused with 503. Nil is an eighth of what the process may have.
  package var bodyMemory: ByteCount?
  /// `limits.send_memory` of the server: what may wait to be sent to all clients together; nil is a quarter of what the process
  /// may have.
  package var sendMemory: ByteCount?
  /// `limits.receive_memory` of the server: what all clients together may have begun to send and not finished; nil is an eighth
  /// of what the process may have.
  package var receiveMemory: ByteCount?
}

/// What is special about an address of `server.bind`.
package struct BindOptions: Sendable, Hashable {
  /// Whether every connection begins with a header of the PROXY protocol, which says where the client is.
  package var proxyProtocol = false
  /// The permissions of the file of a Unix socket; nil is what the umask of the process leaves.
  package var mode: UInt32?
  /// The group of the file of a Unix socket, by name or number; nil is that of the process.
  package var group: String?

  package init() {}
}

/// `server.trusted_proxies`: the machines in front of Sluice that say truly where their clients are.
package struct TrustedProxies: Sendable, Hashable {
  package var networks: [IPNetwork] = []
  /// Whoever connects to a Unix socket.
  package var unix = false

  package var isEmpty: Bool { networks.isEmpty && !unix }

  package func contains(_ address: IPAddress) -> Bool { networks.contains { $0.contains(address) } }

  /// Whether some address of this machine is in it.
  var hasLoopback: Bool {
    networks.contains { $0.address.isLoopback } || IPAddress("127.0.0.1").map(contains) == true
      || IPAddress("::1").map(contains) == true
  }
}

/// `limits.per_ip`: what one IPv4 address, or one /64 of IPv6 addresses, may have.
package struct AddressLimits: Sendable, Hashable {
  package enum Connections: Sendable, Hashable {
    /// Nothing is said: half of all places for an address that is not of this machine, so that nobody alone can take all.
    case half
    case unlimited
    case most(Int)
  }

  /// At the same time: sessions, event streams and HTTP connections together.
  package var connections = Connections.half
  /// Nil: as often as it likes.
  package var handshakes: Rate?
}

/// `limits.per_user`: what one user may do.
package struct UserLimits: Sendable, Hashable {
  /// Of all sessions together; nil for any number.
  package var messages: Rate?
  /// Of sessions and event streams; nil for any number.
  package var handshakes: Rate?
}

/// An address to listen on: `host:port`, `[v6]:port` or `unix:PATH`.
package enum BindAddress: Sendable, Hashable {
  /// Port 0 asks the system for a free one.
  case tcp(host: String, port: Int)
  case unix(path: String)

  /// Reads the notation of `server.bind` and `serve --bind`; a bare port number or a bare host is refused.
  package init?(_ text: String) {
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst("unix:".count))
      guard !path.isEmpty, path.utf8.count <= Self.longestPath else { return nil }
      self = .unix(path: path)
      return
    }
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(digits: text[text.index(after: colon)...])
    else { return nil }
    var host = String(text[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = String(host.dropFirst().dropLast())
    } else if host.contains(":") {
      return nil
    }
    guard !host.isEmpty, host.unicodeScalars.allSatisfy({ !$0.properties.isWhitespace && $0.value > 0x20 })
    else { return nil }
    self = .tcp(host: host, port: Int(port))
  }
}

extension BindAddress {
  /// sockaddr_un holds as many bytes and a terminator.
  private static let longestPath = 107

  /// A sentence for the path of a Unix socket that is too long; nil for any other text.
  static func fault(of text: String) -> String? {
    text.hasPrefix("unix:") ? fault(ofPath: String(text.dropFirst("unix:".count))) : nil
  }

  static func fault(ofPath path: String) -> String? {
    guard path.utf8.count > longestPath else { return nil }
    return "the path of a Unix socket has at most \(longestPath) bytes, and this one has \(path.utf8.count)"
  }
}

extension BindAddress {
  /// Whether it is all addresses of this machine, `0.0.0.0` or `[::]`; of the second kind also those of IPv4.
  private var wildcard: IPAddress? {
    guard case .tcp(let host, _) = self, let address = IPAddress(host),
      address == IPAddress("0.0.0.0") || address == IPAddress("::")
    else { return nil }
    return address
  }

  private func hasPort(of other: BindAddress) -> Bool {
    guard case .tcp(_, let port) = self, case .tcp(_, let otherPort) = other else { return false }
    return port != 0 && port == otherPort
  }

  /// Whether it is `[::]` and `0.0.0.0` has the same port, so that each takes the clients of its own family.
  package func leavesV4(to others: [BindAddress]) -> Bool {
    wildcard?.isV4 == false && others.contains { $0.wildcard?.isV4 == true && $0.hasPort(of: self) }
  }

  /// The one of the others that takes the clients of this address, too: `[::]` takes those of one IPv4 address. Nil where each has
  /// its own.
  func rival(among others: [BindAddress]) -> BindAddress? {
    guard case .tcp(let host, _) = self, IPAddress(host)?.isV4 == true, wildcard == nil else { return nil }
    return others.first { $0.wildcard?.isV4 == false && $0.hasPort(of: self) && !$0.leavesV4(to: others) }
  }
}

extension UInt16 {
  /// A port as it is written: digits alone, no sign.
  package init?(digits text: Substring) {
    guard text.isOfDigits else { return nil }
    self.init(text)
  }
}

extension BindAddress: CustomStringConvertible {
  package var description: String {
    switch self {
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }
}

/// `shutdown:`: how sessions are told that the process ends.
package struct ShutdownConfiguration: Sendable, Hashable {
  /// How long everything goes on as before once the gateway is not ready any more.
  package var delay: Duration = .zero
  /// Close frames are spread over this time; then what is left is closed.
  package var grace: Duration = .seconds(10)
  /// The times that it may be.
  package static let graces = Key.range(of: "grace", at: .shutdown, \.times)

  /// The close code sent: 1001, 1012 or 3000 to 4999.
  package var code: UInt16 = 1012
  /// `back`: when somebody listens for the clients that are closed; nil where nothing is written.
  package var back: NextListener?
}

extension Configuration {
  /// When somebody listens for the clients that a stop closes. What is not written follows from `server.reuse_port` as it is served.
  package var nextListener: NextListener {
    shutdown.back ?? (server.reusesPort ? .now : .after(.seconds(1)))
  }
}

/// When clients of a gateway that stops find somebody who listens.
package enum NextListener: Sendable, Hashable {
  /// Another process listens already.
  case now
  /// So long after this process has ended.
  case after(Duration)
}

/// `logging:`.
package struct LoggingConfiguration: Sendable, Hashable {
  package enum Level: String, Sendable, Hashable, CaseIterable {
    case debug, info, notice, warning, error
  }

  package enum Format: String, Sendable, Hashable, CaseIterable {
    case text, json
  }

  package var level: Level = .info
  package var format: Format = .text
  /// Whether each session has a line at its start and one at its end, of the level `info`.
  package var sessions = false
}
