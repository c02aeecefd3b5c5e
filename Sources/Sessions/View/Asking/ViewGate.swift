import Synchronization
import Transport

/// Lets the questions of one route through, over all workers. May be used by any thread; a question takes its lock twice.
final class ViewGate: Sendable {
  private struct State: Sendable {
    var queue: ViewQueue
    /// By worker: brings a call to it; false once it has ended.
    var seats: [Int: @Sendable (ViewQueue.Call) -> Bool] = [:]
  }

  /// What a worker has to do after it has used the gate.
  struct Turn: Sendable {
    /// The calls of its own questions.
    var calls: [ViewQueue.Call] = []
    /// When it has to look again; nil if somebody else will.
    var next: MonotonicTime?
    var change: ViewCircuit.Change?
  }

  private let state: Mutex<State>

  /// - Parameter most: how many questions may be under way.
  init(most: Int) {
    state = Mutex(State(queue: ViewQueue(most: most)))
  }

  /// Since when the view has answered nobody; nil while it answers.
  var openSince: MonotonicTime? { state.withLock { $0.queue.openSince } }

  /// - Parameter call: brings a call to the worker from any thread.
  func seat(_ worker: Int, _ call: @escaping @Sendable (ViewQueue.Call) -> Bool) {
    state.withLock { $0.seats[worker] = call }
  }

  func enter(_ entry: ViewQueue.Entry, at now: MonotonicTime) -> (verdict: ViewQueue.Verdict, turn: Turn) {
    let (verdict, calls, next) = state.withLock { state in
      let verdict = state.queue.enter(entry, at: now)
      guard verdict == .waits else { return (verdict, [ViewQueue.Call](), MonotonicTime?.none) }
      let calls = state.queue.calls(at: now)
      return (verdict, calls, state.queue.nextCall(at: now))
    }
    return (verdict, Turn(calls: hand(out: calls, from: entry.id.worker, at: now), next: next))
  }

  /// The place of a question is free.
  ///
  /// - Parameter worker: who says so; nil for that of the question.
  func leave(
    _ id: ViewQueue.ID, _ lane: ViewTerms.Lane, _ ending: ViewQueue.Ending, from worker: Int? = nil,
    at now: MonotonicTime
  ) -> Turn {
    let (change, calls, next) = state.withLock { state in
      let change = state.queue.leave(id, lane, ending, at: now)
      let calls = state.queue.calls(at: now)
      return (change, calls, state.queue.nextCall(at: now))
    }
    return Turn(calls: hand(out: calls, from: worker ?? id.worker, at: now), next: next, change: change)
  }

  /// Calls those whose time has come.
  func look(_ worker: Int, at now: MonotonicTime) -> Turn {
    let (calls, next) = state.withLock { state in
      (state.queue.calls(at: now), state.queue.nextCall(at: now))
    }
    return Turn(calls: hand(out: calls, from: worker, at: now), next: next)
  }

  /// From now on only reports come, as far as this worker is asked: they may have all places.
  func end() { state.withLock { $0.queue.end() } }

  /// - Returns: false if it did not wait: it was called, or is about to be.
  func forget(_ id: ViewQueue.ID) -> Bool {
    state.withLock { $0.queue.forget(id) }
  }

  /// - Returns: the calls of the worker itself.
  private func hand(
    out calls: [ViewQueue.Call], from worker: Int, at now: MonotonicTime
  ) -> [ViewQueue.Call] {
    guard !calls.isEmpty else { return [] }
    var own: [ViewQueue.Call] = []
    for call in calls {
      if call.id.worker == worker {
        own.append(call)
      } else if state.withLock({ $0.seats[call.id.worker] })?(call) != true, call.verdict == .go {
        // That worker has ended, and so have its questions; its places are for others.
        own += leave(call.id, call.lane, .unasked, from: worker, at: now).calls
      }
    }
    return own
  }
}
