import CLinux
import Glibc

/// Accepts the connections of one listening socket.
package final class Acceptor {
  /// How many descriptors each listening socket keeps in reserve for when the process has no other one left.
  package static let spareCount = 4
  /// With more than this in one turn, the existing connections would have to wait.
  static let acceptsPerTurn = 64
  /// How long accepting pauses when the process has no descriptor left.
  static let pause = Duration.milliseconds(100)

  /// -1 once it is closed.
  private(set) var listener: Int32
  private let accepted: (consuming Descriptor) -> Void
  private let short: (Int32, consuming Descriptor?) -> Void
  /// Listens again after a pause.
  var retry: Timer?
  /// Whether nothing is accepted until the reactor resumes listening.
  var isHeld = false
  /// Spare descriptors. When no other descriptor is left, one is closed to accept a connection, so that its client gets an
  /// answer at once.
  private var spares: [Int32] = []
  /// Whether accepted connections inherit the options that are set on the listener.
  private var isTCP = false

  init(
    listener: Int32, accepted: @escaping (consuming Descriptor) -> Void,
    short: @escaping (Int32, consuming Descriptor?) -> Void
  ) {
    self.listener = listener
    self.accepted = accepted
    self.short = short
    refill()
    // Accepted sockets inherit these options. A Unix socket has no such options, and needs none.
    isTCP = SocketCall.set(TCP_NODELAY, at: Int32(IPPROTO_TCP), on: listener)
    for (level, name, value) in KeepAliveProbes.options {
      SocketCall.set(name, at: level, to: value, on: listener)
    }
  }

  /// - Parameter most: connections at a time.
  func acceptAll(on reactor: Reactor, atMost most: Int = acceptsPerTurn) {
    for _ in 0..<most {
      let flags = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
      let raw = accept4(listener, nil, nil, flags)
      if raw >= 0 {
        if !isTCP { UnsentBound.set(on: raw) }
        accepted(Descriptor(adopting: raw))
        // The call may have closed the listener, and its number may belong to another descriptor by now.
        guard listener >= 0 else { return }
        continue
      }
      switch errno {
      case EINTR, ECONNABORTED: continue
      case let code where code == EMFILE || code == ENFILE:
        guard acceptInstead(code, on: reactor) else { return }
      case let code where code == ENOBUFS || code == ENOMEM:
        reactor.counters.acceptFailures += 1
        short(code, nil)
        return reactor.pause(self)
      default: return
      }
    }
  }

  /// Accepts the connection that has waited longest, with a spare descriptor.
  ///
  /// - Returns: whether more connections may be waiting.
  private func acceptInstead(_ code: Int32, on reactor: Reactor) -> Bool {
    refill()
    if spares.isEmpty {
      // The callee may be able to close a connection.
      short(code, nil)
      refill()
    }
    guard let spare = spares.popLast() else {
      reactor.counters.acceptFailures += 1
      reactor.pause(self)
      return false
    }
    _ = Glibc.close(spare)
    let flags = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let raw = accept4(listener, nil, nil, flags)
    // Without a free descriptor, the system does not even say that no connection is waiting.
    let failure = raw < 0 ? errno : 0
    if raw >= 0 {
      reactor.counters.acceptFailures += 1
      short(code, Descriptor(adopting: raw))
    }
    guard listener >= 0 else { return false }
    refill()
    // Another thread was quicker to take the descriptor.
    if failure == EMFILE || failure == ENFILE { reactor.pause(self) }
    return failure == 0 || failure == EINTR || failure == ECONNABORTED
  }

  func close() {
    retry?.cancel()
    _ = Glibc.close(listener)
    listener = -1
    for spare in spares { _ = Glibc.close(spare) }
    spares = []
  }

  /// Opens spare descriptors until there are `spareCount`, as far as the system allows.
  private func refill() {
    while spares.count < Self.spareCount {
      let spare = unsafe open("/dev/null", O_RDONLY | O_CLOEXEC)
      guard spare >= 0 else { return }
      spares.append(spare)
    }
  }
}

extension Reactor {
  /// Stops watching the listener for a while. A watched listener stays readable, and epoll would report it in every turn.
  func pause(_ acceptor: Acceptor) {
    stopWatching(acceptor.listener)
    acceptor.retry?.schedule(after: Acceptor.pause)
  }
}
