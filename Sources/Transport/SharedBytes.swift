/// A growable stretch of bytes that many connections can have in their queues at once.
///
/// Made, filled and queued on one reactor. While a connection holds it (`isShared`), its owner may append to it, but must
/// not clear it.
@safe package final class SharedBytes {
  private var storage: UnsafeMutableRawBufferPointer
  package private(set) var count = 0
  /// How many connections have it in their queue.
  var holders = 0

  package init(capacity: Int) {
    unsafe storage = .allocate(byteCount: max(capacity, 64), alignment: 16)
  }

  deinit {
    unsafe storage.deallocate()
  }

  package var capacity: Int { unsafe storage.count }

  /// Whether a connection still has to send from it.
  package var isShared: Bool { holders > 0 }

  package func append(_ bytes: RawSpan) {
    let size = bytes.byteCount
    reserve(size)
    unsafe bytes.withUnsafeBytes { source in
      guard let from = source.baseAddress else { return }
      unsafe (storage.baseAddress.unsafelyUnwrapped + count).copyMemory(from: from, byteCount: size)
    }
    count += size
  }

  /// Forgets the contents; the memory stays for the next ones.
  package func clear() {
    count = 0
  }

  /// The bytes from `offset` on, for as long as the body runs.
  func withBytes<Result>(from offset: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    unsafe body(UnsafeRawBufferPointer(rebasing: storage[offset..<count]))
  }

  private func reserve(_ more: Int) {
    let needed = count + more
    guard needed > capacity else { return }
    let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: max(needed, capacity * 2), alignment: 16)
    unsafe larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: storage[0..<count]))
    unsafe storage.deallocate()
    unsafe storage = larger
  }
}
