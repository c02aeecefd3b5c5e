import GatewayConfig
import Logging
import RedisClient
import Synchronization
import Transport

/// One of a layer's servers, and the connections to it.
struct RedisShard {
  /// Which of the two connections.
  enum End {
    case commands
    case receiver
  }

  let connector: RedisConnector
  /// One line for an outage of either connection.
  let outage: OutageLog
  /// The connection for commands. It is up when the memberships are written.
  let commands: RedisLink<RedisConnection>
  /// The connection for incoming messages. It is up when events for this process arrive.
  let receiver: RedisLink<RedisConnection>
  var recent = RecentEvents()

  /// - Parameter handed: what another process has received on, and this one goes on with.
  init(
    connector: RedisConnector, layer alias: String, life: RedisLife, log: Logger,
    receivingOn handed: HandedSocket? = nil
  ) {
    self.connector = connector
    outage = OutageLog(
      log,
      start: (
        level: .error, message: "channel layer not available",
        metadata: ["layer": "\(alias)", "host": "\(connector.host)"]
      ),
      // One line says that all of the layer's servers are available.
      end: nil)
    commands = RedisLink(life, reporting: outage) { try await connector.connect() }
    let first = Mutex(handed)
    receiver = RedisLink(life, reporting: outage) {
      guard let handed = first.withLock({ $0.take() }) else { return try await connector.connect() }
      return try await connector.adopt(handed)
    }
  }
}
