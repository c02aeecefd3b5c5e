import Glibc

/// Posts to a reactor at a steady pace, finer than its timers, from a thread of its own.
public enum Ticker {
  /// - Returns: the thread; it ends when it is stopped, or when the reactor is.
  public static func start<Message: Sendable>(
    every interval: Duration, to mailbox: Mailbox<Message>, _ message: Message
  ) throws -> ReactorThread {
    let signal = try WakeSignal()
    return try ReactorThread(name: "ticker", signal: signal) {
      var due = MonotonicTime.now
      while !signal.isStopRequested, mailbox.post(message) {
        due = due + interval
        sleep(until: due)
      }
    }
  }

  private static func sleep(until time: MonotonicTime) {
    let (seconds, nanoseconds) = time.nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
    var moment = timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds))
    while unsafe clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, nil) == EINTR {
      // The wait was interrupted. The time to wait for stays the same.
    }
  }
}
