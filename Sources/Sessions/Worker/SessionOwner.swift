package import GatewayConfig
package import Transport

/// The owner of a worker's sessions: it accepts the connections, and knows where those go that become no session.
package protocol SessionOwner: AnyObject {
  /// Whether new sessions are accepted.
  var isServing: Bool { get }

  /// When a client is to come back that is refused because of the stop.
  var stopRetry: Duration? { get }

  /// The same for one whose session could not be handed over to another program, while that is about to take over; nil where such
  /// sessions may begin.
  var boundRetry: Duration? { get }

  /// Connects to an upstream.
  ///
  /// - Parameter done: called once, on any thread. The callee owns the descriptor.
  func connect(
    to upstream: UpstreamConfiguration, _ done: @escaping @Sendable (Result<Int32, any Error>) -> Void)

  /// Serves a connection whose first request is a plain one. The owner handles it from here on.
  func serveHTTP(_ request: FirstRequest, on connection: Connection, of client: Client)

  /// Begins TLS with a client that is counted already.
  ///
  /// - Parameters:
  ///   - bytes: the first bytes of the client, which have been read.
  ///   - due: when the handshake must be complete.
  func goOnInTLS(
    _ descriptor: consuming Descriptor, _ client: Client, _ allowance: Allowance, _ bytes: [UInt8],
    due: MonotonicTime)

  /// The connection was answered, and may still be reading.
  func answered(_ connection: PendingConnection)

  /// The connection has become a session, was handed over, or is closed.
  func pendingEnded(_ connection: PendingConnection)

  /// A session is among the live ones no more.
  func sessionEnded()
}
