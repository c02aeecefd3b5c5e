import Synchronization
import Transport

/// Tells a reactor which groups have something to read. However often it is told of one before it looks, once is enough: what
/// waits for a slow reactor is bounded by its groups, not by their events.
final class HistoryWake: Sendable {
  private let groups = Mutex<Set<String>>([])
  private let signal: @Sendable () -> Void

  /// - Parameter signal: makes the reactor call `take`.
  init(_ signal: @escaping @Sendable () -> Void) {
    self.signal = signal
  }

  func add(_ group: String) {
    let isFirst = groups.withLock { groups in
      defer { groups.insert(group) }
      return groups.isEmpty
    }
    if isFirst { signal() }
  }

  func take() -> Set<String> {
    groups.withLock { groups in
      defer { groups = [] }
      return groups
    }
  }
}
