import Logging
import Synchronization
import Transport

/// Counts connections that the system could not accept as it should, and writes a line for them: at once, and then at most one in ten
/// seconds, with the count since the one before.
final class AcceptFailures: Sendable {
  private static let interval = Duration.seconds(10)

  private struct State {
    var total = 0
    var untold = 0
    var nextLine = MonotonicTime(nanoseconds: 0)
  }

  private let log: Logger
  private let state = Mutex(State())

  init(log: Logger) {
    self.log = log
  }

  /// Since the start.
  var count: Int { state.withLock(\.total) }

  /// - Parameter code: `errno` of the call.
  func record(_ code: Int32, at now: MonotonicTime = .now) {
    let count = state.withLock { state -> Int? in
      state.total += 1
      state.untold += 1
      guard now >= state.nextLine else { return nil }
      state.nextLine = now + Self.interval
      defer { state.untold = 0 }
      return state.untold
    }
    guard let count else { return }
    log.error(
      "connections could not be accepted",
      metadata: [
        "count": "\(count)", "reason": "\(TransportFailure.text(code))",
        "hint": "raise the limit on open files (ulimit -n, LimitNOFILE), or lower limits.connections",
      ])
  }
}
