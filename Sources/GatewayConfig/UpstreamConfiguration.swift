/// `proxy:` and `consumer: proxy`: the server that answers in our place.
package struct UpstreamConfiguration: Sendable, Hashable {
  /// What the upstream sees as `Host`.
  package enum HostHeader: String, Sendable, Hashable, CaseIterable {
    /// What the client sent: Django checks it against `ALLOWED_HOSTS` and builds links from it.
    case keep
    /// The upstream's own address.
    case upstream
  }

  package enum Scheme: String, Sendable, Hashable, CaseIterable {
    case http, https, ws, wss

    package var isSecure: Bool { self == .https || self == .wss }
    var standardPort: Int { isSecure ? 443 : 80 }
  }

  /// How the upstream proves who it is, where TLS is spoken.
  package struct Trust: Sendable, Hashable {
    /// A file of certificates to trust instead of the system's, by its path from the root.
    package var authorities: String?
    /// Without it anybody may stand in the upstream's place.
    package var verifiesCertificate = true

    package init() {}
  }

  package var scheme: Scheme
  package var host: String
  package var port: Int
  /// The path of the Unix socket that it is reached at; nil where it is by host and port.
  package var socket: String?
  /// What the path becomes; nil leaves path and query as they came.
  package var path: TextTemplate?
  package var trust = Trust()
  package var hostHeader = HostHeader.keep
  package var connectTimeout: Duration = .seconds(5)
  /// How long the upstream may be silent.
  package var readTimeout: Duration = .seconds(60)
  /// How long a connection is kept without a request; shorter than gunicorn (2 s), uvicorn and Node (5 s) keep theirs, so that they
  /// are not the first to close it.
  package var idleTimeout: Duration = .seconds(1)
  /// Largest body of a request; larger is refused with 413.
  package var body = ByteCount.mebibytes(10)

  /// The upstream behind a Unix socket, which speaks without TLS.
  package init(scheme: Scheme, socket: String) {
    self.init(scheme: scheme, host: "localhost", port: scheme.standardPort)
    self.socket = socket
  }

  package init(scheme: Scheme, host: String, port: Int, path: TextTemplate? = nil) {
    self.scheme = scheme
    self.host = host
    self.port = port
    self.path = path
  }

  /// Where it is, for the log: `host:port` or `unix:PATH`.
  package var place: String { socket.map { "unix:\($0)" } ?? authority }

  /// `host:port`, without the port that the scheme has anyway; `localhost` behind a Unix socket.
  package var authority: String {
    let name = host.contains(":") ? "[\(host)]" : host
    return port == scheme.standardPort ? name : "\(name):\(port)"
  }
}
