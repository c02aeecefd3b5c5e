/// A growable block of bytes that is sent to many connections.
///
/// It is created, filled and written on one reactor. Bytes that a connection could not send at once are copied into the
/// reactor's backlog, once for all connections, so that the owner may clear the block right after writing it.
@safe public final class SharedBytes {
  private var storage: UnsafeMutableRawBufferPointer
  public private(set) var count = 0
  /// The pieces that were copied into the backlog because a connection had to wait for them.
  private(set) var kept: [Piece] = []

  /// A range of the bytes, and its copy.
  struct Piece {
    var start: Int
    var end: Int
    var chunk: BacklogChunk
    /// Position of the first byte in the chunk.
    var position: Int
  }

  public init(capacity: Int) {
    unsafe storage = .allocate(byteCount: max(capacity, 64), alignment: 16)
  }

  deinit {
    unsafe storage.deallocate()
  }

  public var capacity: Int { unsafe storage.count }

  public func append(_ bytes: RawSpan) {
    let size = bytes.byteCount
    reserve(size)
    unsafe bytes.withUnsafeBytes { source in
      guard let from = source.baseAddress else { return }
      unsafe (storage.baseAddress.unsafelyUnwrapped + count).copyMemory(from: from, byteCount: size)
    }
    count += size
  }

  /// Appends a few bytes and then others, as one.
  ///
  /// - Parameter head: the first byte lowest; `length` of them, at most 16.
  public func append(head: UInt128, length: Int, _ bytes: RawSpan) {
    let size = bytes.byteCount
    // The head is stored with its full size, and the payload overwrites the bytes after `length`.
    reserve(MemoryLayout<UInt128>.size + size)
    unsafe bytes.withUnsafeBytes { source in
      let end = unsafe storage.baseAddress.unsafelyUnwrapped + count
      unsafe end.storeBytes(of: head.littleEndian, as: UInt128.self)
      if let from = source.baseAddress { unsafe (end + length).copyMemory(from: from, byteCount: size) }
    }
    count += length + size
  }

  /// Removes the contents. The memory is kept for the next ones.
  public func clear() {
    count = 0
    if !kept.isEmpty { kept = [] }
  }

  /// Copies the bytes that are not in the backlog yet.
  func keep(in backlog: Backlog) {
    let start = kept.last?.end ?? 0
    guard start < count else { return }
    let (chunk, position) = unsafe withBytes(from: start) { unsafe backlog.keep($0) }
    kept.append(Piece(start: start, end: count, chunk: chunk, position: position))
  }

  /// Calls the body with all of the bytes.
  public func read(_ body: (RawSpan) -> Void) {
    unsafe withBytes(from: 0) { unsafe body(RawSpan(_unsafeBytes: $0)) }
  }

  /// The bytes from `offset` on, for as long as the body runs.
  func withBytes<Result>(from offset: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    unsafe body(UnsafeRawBufferPointer(rebasing: storage[offset..<count]))
  }

  @inline(__always)
  private func reserve(_ more: Int) {
    let needed = count + more
    if needed > capacity { grow(to: needed) }
  }

  private func grow(to needed: Int) {
    let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: max(needed, capacity * 2), alignment: 16)
    unsafe larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: storage[0..<count]))
    unsafe storage.deallocate()
    unsafe storage = larger
  }
}
