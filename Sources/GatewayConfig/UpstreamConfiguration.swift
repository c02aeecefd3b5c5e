/// `proxy:` and `consumer: proxy`: the server that answers instead of Sluice.
package struct UpstreamConfiguration: Sendable, Hashable {
  /// The `Host` that the upstream receives.
  package enum HostHeader: String, Sendable, Hashable, CaseIterable {
    /// The client's own `Host`. Django checks it against `ALLOWED_HOSTS` and builds links from it.
    case keep
    /// The upstream's own address.
    case upstream
  }

  package enum Scheme: String, Sendable, Hashable, CaseIterable {
    case http, https, ws, wss

    package var isSecure: Bool { self == .https || self == .wss }
    var standardPort: Int { isSecure ? 443 : 80 }
  }

  /// How the upstream is authenticated if it uses TLS.
  package struct Trust: Sendable, Hashable {
    /// The absolute path of a file of certificates to trust instead of the system's.
    package var authorities: String?
    /// If false, another server can pretend to be the upstream.
    package var verifiesCertificate = true

    package init(authorities: String? = nil, verifiesCertificate: Bool = true) {
      self.authorities = authorities
      self.verifiesCertificate = verifiesCertificate
    }
  }

  package var scheme: Scheme
  package var host: String
  package var port: Int
  /// The path of the upstream's Unix socket; nil if it has a host and port.
  package var socket: String?
  /// The path of the request to the upstream; nil to pass on path and query unchanged.
  package var path: TextTemplate?
  package var trust = Trust()
  package var hostHeader = HostHeader.keep
  package var connectTimeout: Duration = .seconds(5)
  /// How long the upstream may send nothing.
  package var readTimeout: Duration = .seconds(60)
  /// How long a connection is kept without a request. Shorter than the keep-alive of gunicorn (2 s), uvicorn and Node (5 s), so
  /// that they are not the first to close it.
  package var idleTimeout: Duration = .seconds(1)
  /// Largest body of a request; larger is refused with 413.
  package var body = ByteCount.mebibytes(10)

  /// Whether its sessions lead where those of the other one do; how they get there may differ.
  func leads(whereDoes other: UpstreamConfiguration) -> Bool {
    scheme == other.scheme && place == other.place && path == other.path
  }

  /// The address for the log: `host:port` or `unix:PATH`.
  package var place: String { socket.map { "unix:\($0)" } ?? authority }

  /// `host:port`, without the scheme's default port; `localhost` for a Unix socket.
  package var authority: String {
    let name = host.contains(":") ? "[\(host)]" : host
    return port == scheme.standardPort ? name : "\(name):\(port)"
  }
}
