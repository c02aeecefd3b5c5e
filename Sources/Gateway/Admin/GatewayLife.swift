import Synchronization
import Transport

/// When a gateway began to serve, and how it ended: for those who ask, and those who wait for it.
final class GatewayLife: Sendable {
  private struct State {
    var began: (text: String, time: MonotonicTime)?
    var isOver = false
    /// Sessions that were left when the time of the stop was over.
    var cut = 0
    /// Of a drain, in place of that of the file.
    var grace: Duration?
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())

  /// Nil before it serves.
  var began: (text: String, time: MonotonicTime)? { state.withLock { $0.began } }
  var cut: Int { state.withLock { $0.cut } }

  var grace: Duration? { state.withLock { $0.grace } }

  /// A stop was asked for.
  func stop(within grace: Duration?) {
    state.withLock { $0.grace = grace }
  }

  func begin() {
    state.withLock { $0.began = (WallClock.timestamp(), .now) }
  }

  /// The sessions that are still there are closed at once. The first call counts.
  func cut(_ sessions: Int) {
    state.withLock { $0.cut = $0.cut == 0 ? sessions : $0.cut }
  }

  /// The last session has ended.
  func end() {
    let waiting = state.withLock { state in
      state.isOver = true
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }

  /// Returns when the last session has ended.
  func waitForEnd() async {
    await withCheckedContinuation { continuation in
      let isOver = state.withLock { state in
        if !state.isOver { state.waiting.append(continuation) }
        return state.isOver
      }
      if isOver { continuation.resume() }
    }
  }
}
