import GatewayConfig
import Transport

/// Counts the messages of one session whose rate is limited: by its route, by its user, or by both.
///
/// Confined to the session's reactor.
final class MessageMeter {
  /// What a message leads to.
  enum Verdict: Equatable {
    case allowed
    /// It is allowed, and the client is not to be read for this long. Nanoseconds.
    case allowedBefore(UInt64)
    /// There were too many; when one more is allowed. Nanoseconds.
    case over(UInt64)
  }

  private var price: RatePrice?
  private var excess: MessageRate.Excess
  var paidAt: UInt64 = 0
  /// Nil for an anonymous client, and where the messages of users are not counted.
  var user: UserPlace?
  /// Ends the pause.
  var timer: Timer?
  /// Whether the client is not read for now.
  var isPausing = false
  /// Whether the log was told that this client sends too fast.
  var isKnown = false

  init(_ rate: MessageRate) {
    price = rate.messages.map(RatePrice.init)
    excess = rate.excess
  }

  /// Goes on by another rate.
  func adopt(_ rate: MessageRate) {
    price = rate.messages.map(RatePrice.init)
    excess = rate.excess
  }

  var closes: Bool { excess == .close }

  /// Counts a message, unless it is one too many.
  ///
  /// - Parameter now: nanoseconds of the monotonic clock.
  func count(at now: UInt64) -> Verdict {
    if excess != .wait, let wait = wait(at: now) { return .over(wait) }
    if let price { paidAt = price.paying(paidAt, at: now) }
    user?.pay(at: now)
    guard excess == .wait, let wait = wait(at: now) else { return .allowed }
    return .allowedBefore(wait)
  }

  /// What the user owes for messages of other sessions, or of earlier ones: how long the client is not to be read, in nanoseconds; nil
  /// for not at all.
  func debt(at now: UInt64) -> UInt64? { excess == .wait ? user?.wait(at: now) : nil }

  private func wait(at now: UInt64) -> UInt64? {
    let own = price?.wait(paidAt, at: now)
    guard let shared = user?.wait(at: now) else { return own }
    return max(own ?? 0, shared)
  }
}
