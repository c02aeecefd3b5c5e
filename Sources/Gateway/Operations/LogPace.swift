import Logging
import Synchronization
import Transport

/// Limits the lines in each interval, and counts the omitted ones.
struct LogPace {
  private let most: Int
  private let interval: Duration
  private var end = MonotonicTime(nanoseconds: 0)
  private var lines = 0
  private var suppressed = 0

  /// - Parameters:
  ///   - most: the most lines in each interval, which begins with its first line.
  init(most: Int = 20, every interval: Duration = .seconds(1)) {
    self.most = most
    self.interval = interval
  }

  /// - Returns: how many lines were left out before this one; nil if this one has to be left out too.
  mutating func next(at now: MonotonicTime = .now) -> Int? {
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
final class SharedLogPace: Sendable {
  private let pace: Mutex<LogPace>

  init(most: Int = 20, every interval: Duration = .seconds(1)) {
    pace = Mutex(LogPace(most: most, every: interval))
  }

  func next(at now: MonotonicTime = .now) -> Int? {
    pace.withLock { $0.next(at: now) }
  }
}

extension Logger.Metadata {
  /// Adds how many lines the pace has left out before this one, if there were any.
  mutating func note(suppressed: Int) {
    if suppressed > 0 { self["suppressed"] = .number(suppressed) }
  }
}
