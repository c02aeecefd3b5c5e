import CLinux
import Glibc

/// Accepts the connections of one listening socket.
final class Acceptor {
  /// More than this in one turn would make the connections that exist already wait.
  private static let acceptsPerTurn = 64
  /// How long accepting rests where the process has no descriptor left.
  static let pause = Duration.milliseconds(100)

  /// -1 once it is closed.
  private(set) var listener: Int32
  private let accepted: (consuming Descriptor) -> Void
  /// Listens again after a pause.
  var retry: Timer?
  /// Given up for a moment to refuse a connection when no other descriptor is left.
  private var spare: Int32

  init(listener: Int32, accepted: @escaping (consuming Descriptor) -> Void) {
    self.listener = listener
    self.accepted = accepted
    spare = Self.openSpare()
    var on: Int32 = 1
    // Inherited by what is accepted. A Unix socket has no such option, and needs none.
    _ = unsafe setsockopt(
      listener, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    KeepAliveProbes.enable(on: listener)
  }

  func acceptAll(on reactor: Reactor) {
    for _ in 0..<Self.acceptsPerTurn {
      let flags = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
      let raw = accept4(listener, nil, nil, flags)
      if raw >= 0 {
        reactor.counters.accepts += 1
        accepted(Descriptor(adopting: raw))
        // The call may have ended the listening, and the number may mean something else now.
        guard listener >= 0 else { return }
        continue
      }
      switch errno {
      case EINTR, ECONNABORTED: continue
      case EMFILE, ENFILE, ENOBUFS, ENOMEM:
        reactor.counters.acceptFailures += 1
        refuseOne()
        return reactor.pause(self)
      default: return
      }
    }
  }

  /// Closes the connection that waits longest, so that its client learns at once that it is not served.
  private func refuseOne() {
    // Another thread was quicker to take the free descriptor, the last time.
    if spare < 0 { spare = Self.openSpare() }
    guard spare >= 0 else { return }
    _ = Glibc.close(spare)
    let raw = accept4(listener, nil, nil, Int32(SOCK_CLOEXEC.rawValue))
    if raw >= 0 { _ = Glibc.close(raw) }
    spare = Self.openSpare()
  }

  func close() {
    retry?.cancel()
    _ = Glibc.close(listener)
    listener = -1
    if spare >= 0 { _ = Glibc.close(spare) }
    spare = -1
  }

  private static func openSpare() -> Int32 {
    unsafe open("/dev/null", O_RDONLY | O_CLOEXEC)
  }
}

extension Reactor {
  /// Does not look at the listener for a while: it stays readable, and would be reported at every turn.
  func pause(_ acceptor: Acceptor) {
    stopWatching(acceptor.listener)
    acceptor.retry?.schedule(after: Acceptor.pause)
  }
}
