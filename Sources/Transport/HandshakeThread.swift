import DequeModule
import Glibc
import Synchronization

/// Makes the handshakes of one reactor's clients, on a thread of its own.
///
/// OpenSSL computes for a third of a millisecond to answer a hello, and cannot be interrupted. On the reactor everybody else would wait
/// as long, and in every turn while many clients come at once. The system runs this thread on another processor, or interrupts it when
/// the reactor has something to do.
final class HandshakeThread: Sendable {
  /// The steps that wait, each of another connection. One whose client has gone waits for its turn, too, and is not made then.
  private final class Queue: Sendable {
    private struct Waiting {
      var first = Deque<HandshakeStep>()
      /// Of clients that have got an answer.
      var later = Deque<HandshakeStep>()
      /// They take turns: what has begun ends before much more begins, and who sends the rest of a handshake in many small pieces
      /// does not keep the others out.
      var isLaterNext = true

      mutating func take() -> HandshakeStep? {
        defer { isLaterNext.toggle() }
        return isLaterNext ? later.popFirst() ?? first.popFirst() : first.popFirst() ?? later.popFirst()
      }
    }

    private let waiting = Mutex(Waiting())

    func add(_ step: HandshakeStep) {
      waiting.withLock { waiting in
        if step.isLater { waiting.later.append(step) } else { waiting.first.append(step) }
      }
    }

    func take() -> HandshakeStep? { waiting.withLock { $0.take() } }
  }

  /// Where both want one processor, the thread gets a tenth of it: a reactor that has no pause is not held up, and nobody waits for ever.
  private static let niceness: Int32 = 10

  private let queue: Queue
  private let signal: WakeSignal
  private let thread: ReactorThread

  /// - Parameter made: gets each step that is made, on the thread.
  init(name: String, made: @escaping @Sendable (HandshakeStep) -> Void) throws(TransportFailure) {
    let (queue, signal) = (Queue(), try WakeSignal())
    thread = try ReactorThread(name: name, signal: signal) {
      // Linux has a niceness for each thread. Without the right one, the handshakes are made all the same.
      _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Self.niceness)
      while !signal.isStopRequested {
        signal.wait()
        signal.lower()
        while !signal.isStopRequested, let step = queue.take() {
          step.make()
          made(step)
        }
      }
    }
    self.queue = queue
    self.signal = signal
  }

  func make(_ step: HandshakeStep) {
    queue.add(step)
    signal.raise()
  }

  /// Waits for the step that is being made. No other one is made any more.
  func stop() {
    thread.stop()
    thread.join()
  }
}
