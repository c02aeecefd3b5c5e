import AsyncHTTPClient
package import GatewayConfig
import NetworkFaults
package import Transport

extension UpstreamConfiguration {
  /// What to do where no connection to the server could be made, with its address; nil where nothing is known.
  func hint(for fault: Unreached) -> String {
    switch fault {
    case .refused:
      socket.map {
        "the socket file \($0) is there, but no server listens at it: start the server again"
      }
        ?? "start the server that should listen at \(address), gunicorn for example, or write the address that it listens at"
        + (isLoopback ? "; in a container, \(host) is the container itself" : "")
    case .noFile:
      "start the server that makes the socket \(socket ?? ""), for example with gunicorn --bind unix:\(socket ?? ""), or write the path that it makes"
    case .forbidden:
      socket.map { "let the user of this process write to \($0), and enter each folder on its path" }
        ?? "a rule of this machine forbids connections to \(address): look at its firewall"
    case .noRoute: "compare the address \(address), and look at the routes and the firewall of this machine"
    case .silent: "compare the address \(address); a firewall may drop what is sent there"
    case .unknownName(let name):
      "write a name that this machine can look up (getent hosts \(name) tries it); between containers that is the name of the service"
    }
  }

  private var address: String {
    socket ?? (host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)")
  }

  private var isLoopback: Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }
}

extension AnswerFault {
  /// A request had no answer.
  ///
  /// - Parameter error: of the connection, of TLS, or of an HTTP client.
  init(_ error: any Error, from upstream: UpstreamConfiguration) {
    let fault = PeerFault(error, of: .server)
    if (error as? HTTPClientError) == .connectTimeout {
      self.init(reason: Self.notAccepted, hint: upstream.hint(for: .silent))
    } else if error is UpstreamFetcher.TimedOut {
      self.init(reason: fault.description, hint: Self.slowHint(at: upstream))
    } else if let unreached = Unreached(error) {
      self.init(reason: fault.description, hint: upstream.hint(for: unreached))
    } else {
      self.init(reason: fault.description, hint: fault.isAboutTrust ? Self.trustHint : nil)
    }
  }

  private static func slowHint(at upstream: UpstreamConfiguration) -> String {
    "look whether a worker of \(upstream.place) is free: one that waits for the gateway meanwhile never is; or raise \"timeout\""
  }

  static let notAccepted = "the server did not accept the connection in time"
  private static let trustHint =
    "write a name that the certificate has in the URL, and name the authority that has signed it in tls: {ca: FILE}"
}

extension UpstreamFailures {
  /// - Parameter error: why there is no answer, or not the whole of it.
  package func record(
    _ upstream: UpstreamConfiguration, of user: UpstreamUser, target: [UInt8]? = nil,
    peer: PeerAddress? = nil, status: Int? = nil, _ error: any Error
  ) {
    let fault = AnswerFault(error, from: upstream)
    record(upstream, of: user, target: target, peer: peer, status: status, fault.reason, hint: fault.hint)
  }
}
