import Bytes
import GatewayConfig
import Synchronization
import Transport

/// Threads for the files that an operator names: the configuration, certificates, programs. Clients' files have others.
///
/// A file gives no answer where its disk, or its network file system, is gone, and then nothing gets its thread back. So a thread that
/// waits for one for too long is given up: whoever asked is told, and the next one gets another thread. They are no threads of Dispatch,
/// whose work waits without a word where the system has no thread for it.
final class FileThreads: Sendable {
  /// Why there is no answer: of a file that gives none, for example. A sentence for the operator.
  struct Silence: Error, CustomStringConvertible {
    var description: String
  }

  private struct State {
    var working = 0
    /// Threads that were given up, and still wait.
    var lost = 0
    /// In the order in which they came.
    var waiting: [Waiting] = []
    var lastNumber = 0
  }

  private struct Waiting {
    let number: Int
    let continuation: CheckedContinuation<Turn, Never>
  }

  private enum Turn {
    case begun, cancelled
    /// Too many threads are lost.
    case refused
  }

  /// For what the operator orders, in the whole process.
  static let shared = FileThreads()
  /// For what only reads, so that no order waits behind it.
  static let questions = FileThreads()

  /// As many work at a time; others wait for their turn.
  private static let most = 2
  /// As many may be lost. Then nothing is begun until one comes back.
  static let mostLost = 8
  /// How often is looked.
  private static let interval = Duration.milliseconds(100)

  private let state = Mutex(State())
  private let patience: Duration
  private let start: Start

  typealias Start = @Sendable (@escaping @Sendable () -> Void) throws -> Void

  /// - Parameters:
  ///   - patience: how long one file may give no answer.
  ///   - start: starts a thread.
  init(
    patience: Duration = .seconds(10),
    start: @escaping Start = { try DetachedThread.start(name: "files", $0) }
  ) {
    self.patience = patience
    self.start = start
  }

  /// Does work that may wait for files, on a thread of its own. It is not begun where the task is cancelled before its turn.
  ///
  /// - Parameters:
  ///   - patience: how long one file may give no answer, where that is not as usual.
  ///   - work: goes on where the thread is given up, and what it returns then is dropped.
  func run<Value: Sendable>(
    within patience: Duration? = nil, _ work: @escaping @Sendable (WatchedDisk) -> Value
  ) async throws(Silence) -> Value {
    switch await begin() {
    case .begun: break
    case .cancelled: throw Silence(description: "it was given up before it began")
    case .refused:
      throw Silence(
        description: "\(Self.mostLost) threads wait for files that give no answer, and no other one is begun")
    }
    let (disk, answer) = (WatchedDisk(), Answer<Value>())
    do {
      try start { [self] in
        if answer.give(.done(work(disk))) { ended() } else { comeBack() }
      }
    } catch {
      ended()
      throw Silence(
        description:
          "the system has no thread for it (\(error)): see the limits on processes, threads and memory, such as TasksMax of the unit, ulimit -u and ulimit -v"
      )
    }
    // Not a child of this task: it goes on where this one is cancelled, and waits for its thread.
    let watching = Task { [self] in await watch(disk, for: answer, within: patience ?? self.patience) }
    defer { watching.cancel() }
    let outcome = await answer.outcome()
    switch outcome {
    case .done(let value): return value
    case .silent(let path):
      throw Silence(
        description:
          "the file \"\(path.printable)\" gives no answer: its disk, or its network file system, may be gone")
    }
  }

  /// Gives the thread up where a file gives no answer.
  private func watch<Value>(_ disk: WatchedDisk, for answer: Answer<Value>, within patience: Duration) async {
    while (try? await Task.sleep(for: min(Self.interval, patience))) != nil {
      guard let path = disk.silentFile(for: patience) else { continue }
      if answer.give(.silent(path: path)) { lose() }
      return
    }
  }

  // MARK: - The threads

  private func begin() async -> Turn {
    let number = state.withLock { state in
      state.lastNumber += 1
      return state.lastNumber
    }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let turn: Turn? = state.withLock { state in
          guard !Task.isCancelled else { return .cancelled }
          guard state.lost < Self.mostLost else { return .refused }
          guard state.working < Self.most else {
            state.waiting.append(Waiting(number: number, continuation: continuation))
            return nil
          }
          state.working += 1
          return .begun
        }
        if let turn { continuation.resume(returning: turn) }
      }
    } onCancel: {
      let waiting: Waiting? = state.withLock { state in
        state.waiting.firstIndex { $0.number == number }.map { state.waiting.remove(at: $0) }
      }
      waiting?.continuation.resume(returning: .cancelled)
    }
  }

  private func ended() {
    let next: Waiting? = state.withLock { state in
      guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
      state.working -= 1
      return nil
    }
    next?.continuation.resume(returning: .begun)
  }

  private func lose() {
    let refused: [Waiting] = state.withLock { state in
      state.lost += 1
      guard state.lost >= Self.mostLost else { return [] }
      defer { state.waiting = [] }
      return state.waiting
    }
    for waiting in refused { waiting.continuation.resume(returning: .refused) }
    ended()
  }

  private func comeBack() {
    state.withLock { $0.lost -= 1 }
  }
}

/// What has become of one piece of work: the first answer counts.
private final class Answer<Value: Sendable>: Sendable {
  enum Outcome: Sendable {
    case done(Value)
    case silent(path: String)
  }

  private enum State {
    case open
    case awaited(CheckedContinuation<Outcome, Never>)
    case given(Outcome)
  }

  private let state = Mutex(State.open)

  /// - Returns: false where another one was given before.
  func give(_ outcome: Outcome) -> Bool {
    let (isFirst, waiting): (Bool, CheckedContinuation<Outcome, Never>?) = state.withLock { state in
      switch state {
      case .open:
        state = .given(outcome)
        return (true, nil)
      case .awaited(let continuation):
        state = .given(outcome)
        return (true, continuation)
      case .given: return (false, nil)
      }
    }
    waiting?.resume(returning: outcome)
    return isFirst
  }

  /// Called once.
  func outcome() async -> Outcome {
    await withCheckedContinuation { continuation in
      let given: Outcome? = state.withLock { state in
        if case .given(let outcome) = state { return outcome }
        state = .awaited(continuation)
        return nil
      }
      if let given { continuation.resume(returning: given) }
    }
  }
}
