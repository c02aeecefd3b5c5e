package import GatewayConfig
package import Logging
import Synchronization
import Transport

/// `limits.handshakes`: how many sessions and event streams may begin in the whole process, and when those that may not are to come
/// again.
///
/// Asked once for each handshake that is good otherwise, by all reactors. It is a few numbers, however many clients come.
package final class HandshakeRate: Sendable {
  /// Nobody is told to come later than so long after the first moment at which one is allowed. Beyond that, clients are spread over this
  /// time again. Nanoseconds.
  private static let longestQueue: UInt64 = 60_000_000_000

  private struct State {
    /// Nil for any number.
    var rate: Rate?
    private var price: RatePrice?
    /// How far apart those are told to come that were refused. They are told whole seconds, so of one second no more than may come at once.
    private var distance: UInt64 = 0
    /// When everything that was allowed will be paid for. Nanoseconds of the monotonic clock.
    var paidAt: UInt64 = 0
    /// The time that the last one that was refused has been told to come at. Each gets a time of its own, as far behind the one before as
    /// the rate asks for, so that they do not all come at the first moment at which one of them is allowed.
    var promisedAt: UInt64 = 0
    /// Those that were refused.
    var refused = 0

    /// For the process that takes this one's place; nil for any number.
    var handed: RateState.OfAll? {
      rate.map { RateState.OfAll(rate: $0, paidAt: paidAt, promisedAt: promisedAt) }
    }

    init(_ rate: Rate?) {
      self.rate = rate
      guard let rate else { return }
      price = RatePrice(rate)
      distance = max(rate.period.wholeNanoseconds / UInt64(rate.count), 1_000_000_000 / UInt64(rate.burst))
    }

    /// Counts a handshake.
    ///
    /// - Returns: nil if it is allowed; otherwise how long to wait, in nanoseconds.
    mutating func pay(at now: UInt64) -> UInt64? {
      guard let price else { return nil }
      guard let wait = price.wait(paidAt, at: now) else {
        paidAt = price.paying(paidAt, at: now)
        return nil
      }
      refused += 1
      let first = now + wait
      let next = max(promisedAt, first) + distance
      promisedAt = next - first > HandshakeRate.longestQueue ? first : next
      return promisedAt - now
    }
  }

  private let state: Mutex<State>
  private let pace = SharedLogPace(most: 1)
  private let log: Logger

  /// - Parameters:
  ///   - rate: nil for any number.
  ///   - handed: of the process that this one takes the place of. It goes on where the rate is the same.
  package init(_ rate: Rate?, resuming handed: RateState.OfAll? = nil, log: Logger) {
    var state = State(rate)
    if let handed, handed.rate == rate {
      (state.paidAt, state.promisedAt) = (handed.paidAt, handed.promisedAt)
    }
    self.state = Mutex(state)
    self.log = log
  }

  /// For the process that takes this one's place.
  var handed: RateState.OfAll? { state.withLock(\.handed) }

  /// Those that were refused since the start.
  package var refused: Int { state.withLock(\.refused) }

  /// Another limit holds from now on.
  package func limit(_ new: Rate?) {
    state.withLock { state in
      guard state.rate != new else { return }
      let refused = state.refused
      state = State(new)
      state.refused = refused
    }
  }

  /// Counts a handshake.
  ///
  /// - Returns: nil if it is allowed; otherwise after how many seconds the client is to come again.
  func retryAfter(at now: MonotonicTime = .now) -> Int? {
    let (wait, rate, refused) = state.withLock { ($0.pay(at: now.nanoseconds), $0.rate, $0.refused) }
    guard let wait, let rate else { return nil }
    let seconds = RatePrice.seconds(wait)
    log.log(
      "more clients connect than limits.handshakes allows", at: .warning, paced: pace,
      ["limit": "\(rate.text)", "refused": .number(refused), "wait": "\(seconds)s"])
    return seconds
  }
}
