import Glibc

/// A block of bytes in the queues of connections: of one connection, or of many that send the same bytes.
///
/// It is counted once, for as long as a queue holds it. It remembers where each piece, the bytes of one write, ends.
@safe final class BacklogChunk {
  /// The size of chunks for many connections, in bytes. The system gives them as whole pages, and gets them back at once.
  static let sharedCapacity = 64 * 1024

  /// The bytes. In a small chunk they are followed by one bit for each byte, which is set at the last byte of a piece.
  private let storage: UnsafeMutableRawBufferPointer
  private let isMapped: Bool
  let capacity: Int
  private(set) var count = 0
  /// The backlog's position when the first byte was added. It says how old the chunk is. No other chunk of the backlog with bytes that are
  /// not encrypted has the same, and neither has this one once it is filled anew.
  private(set) var since: UInt64
  private let allowance: MemoryAllowance

  /// Roughly the size of the object itself.
  private static let overhead = 128

  /// - Parameter mapped: whether the memory is mapped as whole pages.
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

  /// Marks the end of a piece.
  func markEnd() {
    guard count > 0, unsafe storage.count > capacity else { return }
    let last = count - 1
    unsafe storage[capacity + last / 8] |= 1 << (last % 8)
  }

  /// The end of the piece that the byte before `position` belongs to, but at most `end`. A chunk without marks is one piece.
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

  /// Empties the chunk for reuse. No queue may hold it.
  func clear(since: UInt64) {
    let used = (count + 7) / 8
    if unsafe storage.count > capacity {
      unsafe UnsafeMutableRawBufferPointer(rebasing: storage[capacity..<capacity + used]).initializeMemory(
        as: UInt8.self, repeating: 0)
    }
    count = 0
    self.since = since
  }

  /// The marks of the bytes that it has; empty for a chunk that is one piece.
  var marks: [UInt8] {
    guard unsafe storage.count > capacity else { return [] }
    return unsafe Array(storage[capacity..<capacity + (count + 7) / 8])
  }

  /// Takes the marks that another chunk had, as far as there is room for them.
  func restore(marks: [UInt8]) {
    let room = unsafe min(marks.count, storage.count - capacity)
    for place in 0..<max(0, room) { unsafe storage[capacity + place] = marks[place] }
  }

  /// The bytes of the range, for as long as the body runs.
  func withBytes<Result>(_ range: Range<Int>, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    unsafe body(UnsafeRawBufferPointer(rebasing: storage[range]))
  }

  func address(of position: Int) -> UnsafeMutableRawPointer {
    unsafe storage.baseAddress.unsafelyUnwrapped + position
  }
}
