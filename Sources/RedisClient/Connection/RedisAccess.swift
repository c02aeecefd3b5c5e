package import GatewayConfig
import Synchronization

/// How a server is reached by the connections that are opened next. A reload of the gateway may change the password, TLS and how long is
/// waited, while the connections that are open stay. The server and its database stay the same.
package final class RedisAccess: Sendable {
  private let current: Mutex<RedisHost>

  package init(_ host: RedisHost) {
    current = Mutex(host)
  }

  package var host: RedisHost { current.withLock(\.self) }

  package func renew(_ host: RedisHost) {
    current.withLock { $0 = host }
  }
}
