/// What a handler left of the bytes that it was given, until its connection's next turn.
///
/// What is dealt with is passed over, not moved, and the memory goes when all is: a rest is copied once however many turns it takes.
@safe final class UnreadBytes {
  unowned let connection: Connection
  /// When some of it was dealt with last, or when it was left: nanoseconds of the reactor's clock.
  private(set) var since: UInt64
  /// Where the reactor keeps it.
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

  /// What its memory takes up, in bytes.
  var size: Int { unsafe storage.count }

  var bytes: UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(rebasing: storage[start...])
  }

  /// Passes over all but so many.
  func keep(last count: Int) {
    if size - count > start { since = connection.reactor.now.nanoseconds }
    start = size - count
  }
}
