import GatewayConfig
import Transport

/// How many clients a reload closes at a time: all of them over some seconds, and no fewer in a second than a stop closes, as a few clients
/// need no spreading.
///
/// Several reactors close at once, each its own clients. The least is that of the process, so each has a part of it, and closes nobody at
/// some of the ticks where that is less than one in each.
struct ExchangePace {
  static let tick = Duration.milliseconds(50)
  static let time = Duration.seconds(4)

  /// For one reactor and one tick.
  private let least: Double
  private var perTick = 0.0
  /// What may be closed already, and less than one client at the beginning.
  private var credit: Double

  /// - Parameters:
  ///   - reactor: from 0, among `reactors`: their first clients do not come all at the same tick.
  ///   - handshakes: `limits.handshakes`, as those that are closed come back at once.
  init(reactor: Int, of reactors: Int, handshakes: Rate?) {
    let rate = min(ClosePlan.closesPerSecond, ClosePlan.mostArrivals(within: handshakes))
    least = rate * (Self.tick / .seconds(1)) / Double(reactors)
    credit = (Double(reactor) + 0.5) / Double(reactors)
  }

  /// So many wait now.
  mutating func begin(with waiting: Int) {
    perTick = max(perTick, least, Double(waiting) / (Self.time / Self.tick))
  }

  /// - Returns: how many are closed at the next tick.
  mutating func next() -> Int {
    credit += perTick
    let whole = credit.rounded(.down)
    credit -= whole
    return Int(whole)
  }

  /// None wait any more.
  mutating func end() { perTick = 0 }
}
