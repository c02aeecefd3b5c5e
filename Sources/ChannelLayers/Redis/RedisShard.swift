/// One of a layer's servers, and what is open to it.
struct RedisShard {
  let connector: RedisConnector
  /// Answers commands; there, but not yet of use, while our memberships are being written.
  var commands: RedisConnection?
  /// When our memberships were written; nil while commands cannot be sent.
  var joinedAt: ContinuousClock.Instant?
  /// Brings what is for us.
  var receiver: RedisConnection?
  var isReceiving = false
  /// Why Redis would not take a subscription.
  var refusal: RedisFailure?
  /// When a subscription brought something.
  var lastHeard = ContinuousClock.now
  /// That our sign of life is there; it being absent then means that Redis lost it.
  var hasSignOfLife = false
  var recent = RecentEvents()
  var isOutageLogged = false

  init(connector: RedisConnector) {
    self.connector = connector
  }

  var isJoined: Bool { joinedAt != nil }
}
