/// Asks one holder of a `MemoryAllowance` a few times a second to give back what is above its fair share, for as long as it holds
/// something: another reactor may be short, and nothing need happen on this one by itself.
///
/// Confined to its reactor.
public final class HoardingWatch {
  private static let interval = Duration.milliseconds(100)

  private unowned let reactor: Reactor
  private let relieve: () -> Bool
  private var timer: Timer?
  private var isWatching = false

  /// - Parameter relieve: lets go of what is above the share, where that is asked for; tells whether something is still held.
  public init(_ reactor: Reactor, _ relieve: @escaping () -> Bool) {
    self.reactor = reactor
    self.relieve = relieve
  }

  /// Begins to watch, where it does not yet; to be called when something is held.
  public func begin() {
    guard !isWatching else { return }
    isWatching = true
    let timer = timer ?? reactor.timer { [unowned self] in look() }
    self.timer = timer
    timer.schedule(after: Self.interval)
  }

  private func look() {
    isWatching = relieve()
    if isWatching { timer?.schedule(after: Self.interval) }
  }
}
