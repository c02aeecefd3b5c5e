/// `events:` of an HTTP route: the events of its groups as a stream of server-sent events (the `EventSource` of the HTML standard).
package struct EventStreamConfiguration: Sendable {
  /// The groups. Their `events` are the `templates` of the mapping.
  package var group: GroupConfiguration
  package var origins: OriginPolicy
  /// `heartbeat:`, a comment is sent after this long without anything else.
  package var heartbeat: Duration = .seconds(15)
  /// `retry:`, how long a client should wait before it connects again.
  package var retry: Duration = .seconds(2)
  /// `limits.send_queue`: most bytes waiting for a slow reader; with more the stream ends.
  package var sendQueue: ByteCount
}

extension OriginPolicy {
  /// Which pages may read an event stream. Browsers send no `Origin` if a page asks its own server.
  package enum StreamAccess: Sendable, Hashable {
    case refused
    /// The page is from this server, or the client is not a browser: the answer names no origin.
    case allowed
    /// Pages of this origin, with their cookies.
    case allowedWithCredentials
    /// Pages of every origin, without cookies.
    case allowedToAll
  }

  /// Decides about a request for an event stream. The parameters are those of `allows`.
  package func access(origin: String?, host: String, isSecure: Bool) -> StreamAccess {
    guard let origin else { return .allowed }
    switch self {
    case .sameHost:
      return allows(origin: origin, host: host, isSecure: isSecure) ? .allowedWithCredentials : .refused
    case .patterns(let patterns):
      let named = OriginPolicy.patterns(patterns.filter { $0 != "*" })
      if named.allows(origin: origin, host: host, isSecure: isSecure) { return .allowedWithCredentials }
      return patterns.contains("*") ? .allowedToAll : .refused
    }
  }
}
