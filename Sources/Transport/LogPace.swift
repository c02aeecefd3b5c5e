import Synchronization

/// Limits the lines in each interval, and counts the omitted ones.
package struct LogPace {
  private let most: Int
  private let interval: Duration
  private var end = MonotonicTime(nanoseconds: 0)
  private var lines = 0
  private var suppressed = 0

  /// - Parameters:
  ///   - most: the most lines in each interval, which begins with its first line.
  package init(most: Int = 20, every interval: Duration = .seconds(1)) {
    self.most = most
    self.interval = interval
  }

  /// - Returns: how many lines were left out before this one; nil if this one has to be left out too.
  package mutating func next(at now: MonotonicTime = .now) -> Int? {
    if now >= end {
      end = now + interval
      lines = 0
    }
    lines += 1
    guard lines <= most else {
      suppressed += 1
      return nil
    }
    defer { suppressed = 0 }
    return suppressed
  }
}

/// The same for lines that several threads write.
package final class SharedLogPace: Sendable {
  private let pace: Mutex<LogPace>

  package init(most: Int = 20, every interval: Duration = .seconds(1)) {
    pace = Mutex(LogPace(most: most, every: interval))
  }

  package func next(at now: MonotonicTime = .now) -> Int? {
    pace.withLock { $0.next(at: now) }
  }
}
