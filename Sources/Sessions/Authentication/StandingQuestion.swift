import Transport

/// What views are asked again about an open session.
final class StandingQuestion {
  /// A view that may be asked again.
  enum View: CaseIterable, Sendable {
    case callback, permission
  }

  /// The part of the request that opened the session.
  var credentials: Credentials
  var timer: Timer?
  /// The question under way.
  var ticket: Int?
  var times = RecheckTimes()

  init(_ credentials: Credentials) {
    self.credentials = credentials
  }

  /// The longest time after which a view that did not answer is asked again.
  private static let patience = Duration.seconds(30)

  /// The time until the next question. Sessions that begin together are spread over the whole of it, so that they do not ask together.
  ///
  /// - Parameters:
  ///   - interval: the longest time between two questions.
  ///   - isFirst: whether the session has just begun.
  ///   - isUnanswered: whether the last question got no answer.
  ///   - random: from 0 to 1.
  static func pause(_ interval: Duration, isFirst: Bool, isUnanswered: Bool, random: Double) -> Duration {
    if isFirst { return interval * random }
    let bound = isUnanswered ? min(interval, patience) : interval
    return bound * (0.75 + random / 4)
  }
}
