import Synchronization

/// The counts of one reactor so far, for other threads to read. Only that reactor writes.
final class Progress: Sendable {
  let opened = Atomic<Int>(0)
  let failed = Atomic<Int>(0)
  /// Connections, or workers, that exist now.
  let active = Atomic<Int>(0)
  /// Messages that came back, deliveries, handshakes, or requests.
  let operations = Atomic<Int>(0)
  let published = Atomic<Int>(0)
  /// Messages that receivers got, each counted once.
  let delivered = Atomic<Int>(0)
  /// Requests that are not answered yet.
  let awaited = Atomic<Int>(0)
  private let problem = Mutex<String?>(nil)

  /// The first problem.
  var firstProblem: String? { problem.withLock { $0 } }

  func note(_ text: @autoclosure () -> String) {
    problem.withLock { problem in
      if problem == nil { problem = text() }
    }
  }
}

extension Atomic<Int> {
  /// Cheaper than an atomic addition, and correct because only one thread writes.
  func increase(by count: Int = 1) {
    store(load(ordering: .relaxed) + count, ordering: .relaxed)
  }

  var value: Int { load(ordering: .relaxed) }
}
