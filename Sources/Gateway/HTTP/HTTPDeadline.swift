import Transport

/// What an HTTP connection waits for, and until when. Setting it anew mostly touches no timer: the timer finds out when it is due.
struct HTTPDeadline {
  enum Wait: Equatable {
    /// The next request.
    case request
    /// The last request, while the gateway stops.
    case lastRequest
    /// The rest of a head.
    case head
    /// The rest of a body that is wanted.
    case body
    /// The client, to take an answer.
    ///
    /// - Parameter left: bytes that waited when the time began.
    case reader(left: Int)
    /// The answer to a client that has closed its side.
    case answer
  }

  private let reactor: Reactor
  /// Set once, by the owner.
  var timer: Timer?
  private(set) var wait: Wait?
  private var due = MonotonicTime(nanoseconds: 0)
  /// When the timer calls; nil while it is not set.
  private var next: MonotonicTime?

  /// How long a client may take nothing of its answers.
  private static let readerPatience = Duration.seconds(30)
  /// How long a client that has closed its side waits for an answer. Nearly always such a client is gone.
  private static let halfClosedPatience = Duration.seconds(5)

  init(_ reactor: Reactor) {
    self.reactor = reactor
  }

  mutating func set(_ wait: Wait, _ due: MonotonicTime) {
    self.wait = wait
    self.due = due
    if let next, next <= due { return }
    next = due
    timer?.schedule(at: due)
  }

  /// The time of a wait that begins now.
  mutating func set(_ wait: Wait) {
    if wait == .answer, self.wait == .answer { return }
    set(wait, reactor.now + (wait == .answer ? Self.halfClosedPatience : Self.readerPatience))
  }

  /// Nothing is waited for.
  mutating func clear() {
    wait = nil
  }

  /// The timer has called.
  ///
  /// - Returns: what has been waited for too long; nil if nothing has.
  mutating func over() -> Wait? {
    next = nil
    guard let wait else { return nil }
    guard reactor.now >= due else {
      set(wait, due)
      return nil
    }
    self.wait = nil
    return wait
  }

  mutating func cancel() {
    clear()
    timer?.cancel()
    next = nil
  }
}
