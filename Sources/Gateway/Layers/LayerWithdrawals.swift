import ChannelLayers
import Synchronization

/// What this process, or the one whose place it has taken, has written into channel layers that nobody uses any more: known until it is
/// removed, so that a further process goes on with that.
final class LayerWithdrawals: Sendable {
  private struct State {
    var left: [Int: LayerRemains] = [:]
    var tasks: [Int: Task<Void, Never>] = [:]
    var last = 0
    var isStopped = false
  }

  private let state = Mutex(State())

  /// What is not removed yet.
  var unfinished: [LayerRemains] { state.withLock { $0.left.sorted { $0.key < $1.key }.map(\.value) } }

  /// Notes what has to be removed.
  ///
  /// - Returns: its number; nil where there is nothing to remove.
  func expect(_ remains: LayerRemains?) -> Int? {
    guard let remains, !remains.isEmpty else { return nil }
    return state.withLock { state in
      state.last += 1
      state.left[state.last] = remains
      return state.last
    }
  }

  /// Begins to remove it, unless the process stops.
  func begin(_ number: Int, _ withdraw: @escaping @Sendable (LayerRemains) async -> Void) {
    state.withLock { state in
      guard !state.isStopped, let remains = state.left[number] else { return }
      state.tasks[number] = Task { [weak self] in
        await withdraw(remains)
        self?.end(number)
      }
    }
  }

  private func end(_ number: Int) {
    state.withLock { state in
      state.left[number] = nil
      state.tasks[number] = nil
    }
  }

  /// Waits for what has begun, at most for so long, and begins nothing more.
  func finish(within time: Duration) async {
    let tasks = state.withLock { state in
      state.isStopped = true
      return Array(state.tasks.values)
    }
    guard !tasks.isEmpty else { return }
    // It ends with this function.
    let deadline = Task {
      guard (try? await Task.sleep(for: time)) != nil else { return }
      for task in tasks { task.cancel() }
    }
    for task in tasks { await task.value }
    deadline.cancel()
  }
}
