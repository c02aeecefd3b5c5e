import CTLS
import Glibc

/// TLS on one connection, at the server's side or at the client's. Confined to the connection's reactor, but for the steps of the
/// handshake that another thread makes.
///
/// What is read is decrypted into the reactor's buffer, and what is written is sent at once; it owns a buffer only while a read has
/// left some of what came, because of its bounds.
@safe final class TLSSession {
  /// The most plaintext of one record (RFC 8446 section 5.1). Bytes.
  static let recordSize = 16 * 1024

  private let raw: OpaquePointer
  /// The session asks it for the certificate.
  private let context: TLSContext
  /// Where what was read and not decrypted is counted, and how much that is. Bytes.
  private let allowance: MemoryAllowance
  private(set) var held = 0
  /// Since when: nanoseconds of the reactor's clock.
  private(set) var heldSince: UInt64 = 0

  /// The step that another thread makes. Until its outcome is there, that thread alone uses OpenSSL's session.
  private(set) var step: HandshakeStep?

  /// - Parameter first: bytes that were read from the socket already; at most 32 KiB.
  /// - Returns: nil where there is no memory.
  init?(_ context: TLSContext, on descriptor: Int32, first: [UInt8], countedBy allowance: MemoryAllowance) {
    guard let raw = unsafe tls_session_make(context.raw, descriptor, first, first.count) else { return nil }
    unsafe self.raw = raw
    self.context = context
    self.allowance = allowance
    count(at: .now)
  }

  /// At the client's side.
  ///
  /// - Parameter server: its name, or its address.
  /// - Returns: nil where there is no memory.
  init?(
    _ context: TLSContext, on descriptor: Int32, connectingTo server: String,
    countedBy allowance: MemoryAllowance
  ) {
    guard let raw = unsafe tls_session_connect(context.raw, descriptor, server) else { return nil }
    unsafe self.raw = raw
    self.context = context
    self.allowance = allowance
  }

  /// Sends the client's first flight.
  ///
  /// - Returns: false with `errno` set where it cannot be sent. The socket may not have taken all of it: see `withUnsent`.
  func begin() -> Bool { unsafe tls_session_begin(raw) }

  deinit {
    precondition(step == nil, "another thread uses the session")
    allowance.subtract(held)
    unsafe tls_session_free(raw)
  }

  /// Whether the handshake is over.
  var isEstablished: Bool { unsafe step == nil && tls_session_is_established(raw) }

  /// Whether there is something to read although the socket may have nothing.
  var holdsInput: Bool { unsafe step == nil && tls_session_holds(raw) }

  /// Why the peer's bytes are no TLS, or none that is accepted; nil if they are.
  var fault: TLSFault? {
    guard step == nil, let words = unsafe tls_session_fault(raw) else { return nil }
    let source: TLSFault.Source =
      if unsafe tls_session_is_cut_off(raw) {
        .peerEnd
      } else if unsafe tls_session_is_reason(raw) {
        .library
      } else {
        .other
      }
    return unsafe TLSFault(
      reason: String(cString: words), source: source, isAboutTrust: tls_session_is_distrusted(raw))
  }

  /// Whether the peer has sent anything.
  var isHeard: Bool { unsafe step != nil || tls_session_is_heard(raw) }

  /// How many bytes the last read took from the socket.
  var taken: Int { unsafe tls_session_taken(raw) }

  /// Reads and decrypts.
  ///
  /// - Parameters:
  ///   - most: how many encrypted bytes are taken from the socket.
  ///   - now: for the age of what is kept for the next read.
  ///   - isWaiting: whether encrypted bytes wait for the socket, so that what TLS answers is unsent, too.
  /// - Returns: the number of bytes, 0 at the peer's end, or -1 with `errno` set.
  func read(
    into buffer: UnsafeMutableRawBufferPointer, atMost most: Int, at now: MonotonicTime = .now,
    isWaiting: Bool = false
  ) -> Int {
    guard let start = buffer.baseAddress else { return 0 }
    let read = unsafe tls_session_read(raw, start, buffer.count, most, isWaiting)
    let code = errno
    count(at: now)
    errno = code
    return read
  }

  /// Begins a step of the handshake that another thread makes.
  ///
  /// - Parameters:
  ///   - token: says to whom the outcome belongs.
  ///   - isWaiting: as for `read`.
  func beginStep(token: UInt64, isWaiting: Bool) -> HandshakeStep {
    let made = unsafe HandshakeStep(of: raw, token: token, isWaiting: isWaiting)
    step = made
    return made
  }

  /// The step's outcome is there.
  func endStep(at now: MonotonicTime) {
    step = nil
    count(at: now)
  }

  /// Counts what is kept for the next read.
  private func count(at now: MonotonicTime) {
    let kept = unsafe tls_session_held(raw)
    guard kept != held else { return }
    if kept > held { allowance.add(kept - held) } else { allowance.subtract(held - kept) }
    held = kept
    heldSince = now.nanoseconds
  }

  /// Encrypts and sends bytes, but not all of many. Nothing may be unsent.
  ///
  /// - Returns: how many were encrypted, or -1 with `errno` set. The socket may not have taken all of them: see `withUnsent`.
  func write(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard let start = bytes.baseAddress else { return 0 }
    return unsafe tls_session_write(raw, start, bytes.count)
  }

  /// Says that nothing more will be sent.
  func finish() {
    unsafe tls_session_finish(raw)
  }

  /// Calls the body with the encrypted bytes that the socket did not take in the last call, if there are some. They are lost
  /// afterwards.
  func withUnsent(_ body: (UnsafeRawBufferPointer) -> Void) {
    var bytes: UnsafeRawPointer?
    let count = unsafe tls_session_unsent(raw, &bytes)
    if count > 0 { unsafe body(UnsafeRawBufferPointer(start: bytes, count: count)) }
  }
}

/// Why a connection with TLS failed.
public struct TLSFault: Error, Sendable, Equatable {
  public var reason: String
  public var source: Source
  /// The server's certificate is not one that the client trusts.
  public var isAboutTrust = false

  public enum Source: Sendable {
    /// The reason is one of OpenSSL's (`ERR_reason_error_string`).
    case library
    /// The peer ended the connection before the handshake was over.
    case peerEnd
    /// The reason is a sentence of its own.
    case other
  }
}
