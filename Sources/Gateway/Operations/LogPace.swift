import Synchronization
import Transport

/// Lets a number of lines a second into the log, and counts the rest.
struct LogPace {
  private let linesPerSecond: Int
  private var second: Int64 = 0
  private var lines = 0
  private var suppressed = 0

  init(linesPerSecond: Int = 20) {
    self.linesPerSecond = linesPerSecond
  }

  /// - Returns: how many lines were left out before this one; nil where this one is to be left out too.
  mutating func next() -> Int? {
    let current = MonotonicTime.now.seconds
    if current != second {
      second = current
      lines = 0
    }
    lines += 1
    guard lines <= linesPerSecond else {
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

  init(linesPerSecond: Int = 20) {
    pace = Mutex(LogPace(linesPerSecond: linesPerSecond))
  }

  func next() -> Int? {
    pace.withLock { $0.next() }
  }
}
