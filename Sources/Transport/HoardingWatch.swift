/// Asks one holder of a `MemoryAllowance` a few times a second to give back what exceeds its fair share, for as long as the
/// holder holds anything. Another reactor may need the memory while nothing happens on this one.
///
/// Confined to its reactor.
public final class HoardingWatch {
  private static let interval = Duration.milliseconds(100)

  private let relieve: () -> Bool
  private var timer: Timer?
  private var isWatching = false

  /// - Parameter relieve: gives back what exceeds the fair share, if another reactor needs it. Returns whether the holder
  ///   still holds anything.
  public init(_ reactor: Reactor, _ relieve: @escaping () -> Bool) {
    self.relieve = relieve
    // Unowned: a holder that ends holds nothing, or its reactor ends with it.
    timer = reactor.timer { [unowned self] in look() }
  }

  /// Begins to watch, unless it does so already. Must be called when the holder begins to hold something.
  public func begin() {
    guard !isWatching else { return }
    isWatching = true
    timer?.schedule(after: Self.interval)
  }

  private func look() {
    isWatching = relieve()
    if isWatching { timer?.schedule(after: Self.interval) }
  }
}
