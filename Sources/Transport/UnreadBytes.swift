/// The bytes that a handler left, until its connection's next turn.
///
/// Handled bytes are skipped, not moved, and the memory is freed when all are handled. The bytes are copied once, however many
/// turns the handler needs.
@safe final class UnreadBytes {
  /// Unowned: the connection keeps the bytes, and drops them when it closes.
  unowned let connection: Connection
  /// When some of the bytes were last handled, or when they were left: nanoseconds of the reactor's clock.
  private(set) var since: UInt64
  /// The index in the reactor's list.
  var place = 0
  private let storage: UnsafeMutableRawBufferPointer
  private var start = 0

  /// Copies the bytes.
  init(_ bytes: UnsafeRawBufferPointer, of connection: Connection) {
    self.connection = connection
    since = connection.reactor.now.nanoseconds
    unsafe storage = .allocate(byteCount: bytes.count, alignment: 16)
    unsafe storage.copyMemory(from: bytes)
  }

  deinit {
    unsafe storage.deallocate()
  }

  /// The size of its memory, in bytes.
  var size: Int { unsafe storage.count }

  var bytes: UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(rebasing: storage[start...])
  }

  /// Skips all bytes but the last `count`.
  func keep(last count: Int) {
    if size - count > start { since = connection.reactor.now.nanoseconds }
    start = size - count
  }
}
