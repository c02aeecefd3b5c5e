import Synchronization

/// The questions to a view that are under way: several clients that ask the same at the same time share one request.
final class SharedQuestions: Sendable {
  private struct Running {
    var number: Int
    var task: Task<Verdict, Never>
    var waiting: Int
  }

  private struct State {
    var running: [Question.Key: Running] = [:]
    var issued = 0
  }

  private let state = Mutex(State())

  /// Waits for the answer to a question, which is asked unless it is under way. When all who wait for it have given up, it is
  /// cancelled.
  func answer(to key: Question.Key, _ ask: @escaping @Sendable () async -> Verdict) async -> Verdict {
    let (number, task) = state.withLock { state in join(key, &state, ask) }
    return await withTaskCancellationHandler {
      await task.value
    } onCancel: {
      leave(key, number)
    }
  }

  /// How many wait for the answer to a question, for tests.
  func waiting(for key: Question.Key) -> Int { state.withLock { $0.running[key]?.waiting ?? 0 } }

  private func join(
    _ key: Question.Key, _ state: inout State, _ ask: @escaping @Sendable () async -> Verdict
  ) -> (Int, Task<Verdict, Never>) {
    if let running = state.running[key] {
      state.running[key]?.waiting += 1
      return (running.number, running.task)
    }
    state.issued += 1
    let number = state.issued
    let task = Task { [weak self] in
      let verdict = await ask()
      self?.end(key, number)
      return verdict
    }
    state.running[key] = Running(number: number, task: task, waiting: 1)
    return (number, task)
  }

  /// One of those who wait for the answer does not need it any more.
  private func leave(_ key: Question.Key, _ number: Int) {
    let unneeded: Task<Verdict, Never>? = state.withLock { state in
      guard let running = state.running[key], running.number == number else { return nil }
      state.running[key]?.waiting -= 1
      guard running.waiting == 1 else { return nil }
      state.running[key] = nil
      return running.task
    }
    unneeded?.cancel()
  }

  private func end(_ key: Question.Key, _ number: Int) {
    state.withLock { state in
      if state.running[key]?.number == number { state.running[key] = nil }
    }
  }
}
