import CTLS
import Glibc
import Synchronization

/// A part of a server's handshake: what the client has sent is read and answered. Made by a `HandshakeThread`.
@safe final class HandshakeStep: Sendable {
  /// As a read has it.
  struct Outcome {
    /// Always 0 or -1: no data is read.
    var result = 0
    /// `errno`.
    var code: Int32 = 0
    /// Encrypted bytes that the socket did not take.
    var unsent: [UInt8] = []
  }

  let token: UInt64
  /// Only the thread that makes the step uses it meanwhile.
  private nonisolated(unsafe) let raw: OpaquePointer
  private let isWaiting: Bool
  private let isAbandoned = Atomic<Bool>(false)
  private let made = Mutex<Outcome?>(nil)
  /// The hello is answered: what is left of the handshake is short.
  let isLater: Bool

  init(of raw: OpaquePointer, token: UInt64, isWaiting: Bool) {
    unsafe self.raw = raw
    isLater = unsafe tls_session_has_answered(raw)
    self.token = token
    self.isWaiting = isWaiting
  }

  /// Makes the step, unless its client has gone.
  func make() {
    guard !isAbandoned.load(ordering: .relaxed) else { return }
    var outcome = Outcome()
    outcome.result = unsafe tls_session_read(raw, nil, 0, Int(TLS_MOST_HELD), isWaiting)
    outcome.code = errno
    var bytes: UnsafeRawPointer?
    let count = unsafe tls_session_unsent(raw, &bytes)
    if count > 0 { outcome.unsent = unsafe Array(UnsafeRawBufferPointer(start: bytes, count: count)) }
    made.withLock { $0 = outcome }
  }

  /// The client has gone: the step need not be made.
  func abandon() { isAbandoned.store(true, ordering: .relaxed) }

  /// Nil if it was not made.
  var outcome: Outcome? { made.withLock(\.self) }
}
