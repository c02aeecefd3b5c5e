import Glibc

/// A stretch of bytes that waits in the queues of connections: of one, or of many that are sent the same.
///
/// Counted once, for as long as anybody holds it. It remembers where what was written in one piece ends.
@safe final class BacklogChunk {
  /// What is written for many is put together in chunks of this size, which come from the system as whole pages and go back to
  /// it at once. Bytes.
  static let sharedCapacity = 64 * 1024

  /// The bytes, and behind them in a small chunk a bit for each, set at the last one of what was written in one piece.
  private let storage: UnsafeMutableRawBufferPointer
  private let isMapped: Bool
  let capacity: Int
  private(set) var count = 0
  /// The backlog's position when the first byte came: how old it is.
  private(set) var since: UInt64
  private let allowance: MemoryAllowance

  /// About what the object itself takes.
  private static let overhead = 128

  /// - Parameter mapped: as whole pages from the system.
  init(capacity: Int, mapped: Bool, since: UInt64, countedBy allowance: MemoryAllowance) {
    self.capacity = capacity
    self.since = since
    self.allowance = allowance
    let marks = capacity <= Self.sharedCapacity ? (capacity + 7) / 8 : 0
    let size = capacity + marks
    if mapped, let pages = unsafe Self.map(size) {
      isMapped = true
      unsafe storage = pages
    } else {
      isMapped = false
      unsafe storage = .allocate(byteCount: size, alignment: 16)
      unsafe UnsafeMutableRawBufferPointer(rebasing: storage[capacity...]).initializeMemory(
        as: UInt8.self, repeating: 0)
    }
    allowance.add(size + Self.overhead)
  }

  private static func map(_ size: Int) -> UnsafeMutableRawBufferPointer? {
    let pages = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let pages = unsafe pages, unsafe pages != MAP_FAILED else { return nil }
    return unsafe UnsafeMutableRawBufferPointer(start: pages, count: size)
  }

  deinit {
    unsafe allowance.subtract(storage.count + Self.overhead)
    if isMapped {
      _ = unsafe munmap(storage.baseAddress, storage.count)
    } else {
      unsafe storage.deallocate()
    }
  }

  var room: Int { capacity - count }

  func append(_ bytes: UnsafeRawBufferPointer) {
    guard let from = bytes.baseAddress else { return }
    unsafe (storage.baseAddress.unsafelyUnwrapped + count).copyMemory(from: from, byteCount: bytes.count)
    count += bytes.count
  }

  /// Remembers that what was written in one piece ends here.
  func markEnd() {
    guard count > 0, unsafe storage.count > capacity else { return }
    let last = count - 1
    unsafe storage[capacity + last / 8] |= 1 << (last % 8)
  }

  /// Where the piece ends that the byte before `position` belongs to, or `end`, whatever comes first. What has no marks is one piece.
  func pieceEnd(from position: Int, to end: Int) -> Int {
    guard unsafe storage.count > capacity else { return end }
    var last = max(0, position - 1)
    while last < end {
      let marks = unsafe storage[capacity + last / 8] >> (last % 8)
      if marks != 0 { return min(end, last + marks.trailingZeroBitCount + 1) }
      last += 8 - last % 8
    }
    return end
  }

  /// Begins anew; nobody holds what was in it.
  func clear(since: UInt64) {
    let used = (count + 7) / 8
    if unsafe storage.count > capacity {
      unsafe UnsafeMutableRawBufferPointer(rebasing: storage[capacity..<capacity + used]).initializeMemory(
        as: UInt8.self, repeating: 0)
    }
    count = 0
    self.since = since
  }

  /// The bytes of the range, for as long as the body runs.
  func withBytes<Result>(_ range: Range<Int>, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    unsafe body(UnsafeRawBufferPointer(rebasing: storage[range]))
  }

  func address(of position: Int) -> UnsafeMutableRawPointer {
    unsafe storage.baseAddress.unsafelyUnwrapped + position
  }
}
