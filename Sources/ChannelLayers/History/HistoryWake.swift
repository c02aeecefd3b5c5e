import Synchronization
import Transport

/// Tells a reactor which groups have new events. A group is listed once until the reactor takes the list, so the list of a slow
/// reactor is bounded by the number of its groups, and not by the number of events.
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
