/// `server.admin`: where the operator's commands reach the running gateway.
package enum AdminAddress: Sendable, Hashable {
  /// Nothing is said: a Unix socket in a run-time directory, which is named after the file.
  case standard
  /// Relative to the working directory.
  case unix(path: String)
  /// An address that only this machine reaches, for those who know the token.
  case loopback(host: String, port: Int, token: Secret)
  /// `false`
  case nowhere

  /// What is bound; nil where the file does not name it.
  package var bind: BindAddress? {
    switch self {
    case .unix(let path): .unix(path: path)
    case .loopback(let host, let port, _): .tcp(host: host, port: port)
    case .standard, .nowhere: nil
    }
  }
}
