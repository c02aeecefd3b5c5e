/// What is due because a token will end, or has ended.
enum TokenExpiry: Equatable {
  case expired
  /// The client is to be told that its token is about to expire; what is left of its time.
  case notice(Duration)
  /// Nothing yet: the clock is to be looked at again after this time.
  case later(Duration)

  /// How long before the end of its token a client is told.
  private static let notice = Duration.seconds(30)
  /// The clock is looked at again at least this often: it may be set.
  static let longestWait = Duration.seconds(3600)

  /// - Parameters:
  ///   - time: the end of the token, in seconds since 1970.
  ///   - now: in seconds since 1970.
  ///   - isTold: whether the client is still to be told before its token expires.
  init(at time: Double, now: Double, isTold: Bool) {
    // An end that is far away, or infinite, has no use as a duration.
    let left = Duration.seconds(min(max(time - now, 0), 86400))
    guard left > .zero else {
      self = .expired
      return
    }
    guard isTold else {
      self = .later(min(left, Self.longestWait))
      return
    }
    self = left <= Self.notice ? .notice(left) : .later(min(left - Self.notice, Self.longestWait))
  }
}
