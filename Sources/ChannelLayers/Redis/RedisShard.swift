/// One of a layer's servers, and the connections to it.
struct RedisShard {
  let connector: RedisConnector
  /// The connection for commands. While the memberships are being written it exists but cannot be used yet.
  var commands: RedisConnection?
  /// When the memberships were written; nil while commands cannot be sent.
  var joinedAt: ContinuousClock.Instant?
  /// The connection for incoming messages.
  var receiver: RedisConnection?
  var isReceiving = false
  /// Why Redis refused a subscription.
  var refusal: RedisFailure?
  /// When the subscriptions last received something.
  var lastHeard = ContinuousClock.now
  /// Whether this process's sign of life was written. If it is missing later, Redis has lost it.
  var hasSignOfLife = false
  var recent = RecentEvents()
  var isOutageLogged = false

  init(connector: RedisConnector) {
    self.connector = connector
  }

  var isJoined: Bool { joinedAt != nil }
}
