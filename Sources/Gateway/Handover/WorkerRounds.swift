import Sessions
import Synchronization
import Transport

/// Asks all workers for something, and goes on when each has answered.
struct WorkerRounds: Sendable {
  let workers: [Mailbox<WorkerMessage>]

  /// - Parameter work: is called on each worker's reactor, and has to answer once, there or later.
  /// - Returns: the answers in the order of the workers; none of a worker that has ended.
  func each<Value: Sendable>(
    _ work: @escaping @Sendable (Worker, @escaping @Sendable (Value) -> Void) -> Void
  ) async -> [Value] {
    await withCheckedContinuation { continuation in
      let answers = Answers(continuation)
      for (number, worker) in workers.enumerated() {
        worker.post(.prepare { worker in work(worker) { answers.add($0, of: number) } })
      }
    }
  }

  /// The same for what is done at once.
  func each<Value: Sendable>(_ work: @escaping @Sendable (Worker) -> Value) async -> [Value] {
    await each { worker, answer in answer(work(worker)) }
  }

  /// How many sessions cannot be handed over to another program.
  func countBound() async -> Int { await each { $0.sessions.boundCount }.reduce(0, +) }

  /// Every worker holds it until it has answered, or has ended.
  private final class Answers<Value: Sendable>: Sendable {
    private let values = Mutex<[Int: Value]>([:])
    private let continuation: CheckedContinuation<[Value], Never>

    init(_ continuation: CheckedContinuation<[Value], Never>) {
      self.continuation = continuation
    }

    deinit {
      continuation.resume(returning: values.withLock { $0.sorted { $0.key < $1.key }.map(\.value) })
    }

    func add(_ value: Value, of worker: Int) {
      values.withLock { $0[worker] = value }
    }
  }
}
