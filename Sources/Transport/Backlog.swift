import Glibc

/// The bytes of one reactor's connections that the kernel has not accepted yet, and the bound on them.
///
/// Bytes for many connections are copied once into chunks that all of these connections share. When the process has no memory
/// left for waiting bytes, the connections whose bytes have waited longest are closed. Confined to its reactor.
final class Backlog {
  /// A longer piece gets a chunk of its own.
  private static let largestShared = BacklogChunk.sharedCapacity / 4

  var allowance: MemoryAllowance
  /// How many bytes were queued so far. The age of a chunk is measured with it.
  private(set) var position: UInt64 = 0
  /// The chunk that is being filled.
  private var open: BacklogChunk?
  /// The connections that wait for the kernel, in no order.
  private(set) var waiting: [Connection] = []

  init(boundedBy allowance: MemoryAllowance) {
    self.allowance = allowance
  }

  /// Copies bytes that several connections have to send.
  ///
  /// - Returns: the chunk, and the offset of the bytes in it.
  func keep(_ bytes: UnsafeRawBufferPointer) -> (chunk: BacklogChunk, start: Int) {
    let chunk = chunk(for: bytes.count)
    let start = chunk.count
    position += UInt64(bytes.count)
    unsafe chunk.append(bytes)
    chunk.markEnd()
    return (chunk, start)
  }

  private func chunk(for size: Int) -> BacklogChunk {
    guard size <= Self.largestShared else {
      return ownChunk(capacity: size)
    }
    if isKnownUniquelyReferenced(&open) { open?.clear(since: position) }
    if let open, open.room >= size { return open }
    let chunk = BacklogChunk(
      capacity: BacklogChunk.sharedCapacity, mapped: true, since: position, countedBy: allowance)
    open = chunk
    return chunk
  }

  /// A chunk for the bytes of one connection.
  func ownChunk(capacity: Int) -> BacklogChunk {
    BacklogChunk(capacity: capacity, mapped: false, since: position, countedBy: allowance)
  }

  /// Counts bytes that were put into a chunk of one connection.
  func passed(_ count: Int) {
    position += UInt64(count)
  }

  // MARK: - Who waits

  func add(_ connection: Connection) {
    connection.placeInBacklog = waiting.count
    waiting.append(connection)
    allowance.add(UnsentBound.kernelShare)
  }

  func remove(_ connection: Connection) {
    let last = waiting.removeLast()
    if last !== connection, let place = connection.placeInBacklog {
      last.placeInBacklog = place
      waiting[place] = last
    }
    allowance.subtract(UnsentBound.kernelShare)
    // After a flood, the list does not keep its memory.
    if waiting.isEmpty, waiting.capacity > 1024 { waiting = [] }
  }

  /// Closes the connections whose bytes have waited longest, until there is room.
  func relieve() {
    guard let target = allowance.target(), !waiting.isEmpty else { return }
    // If that is not enough, connections with only young bytes are closed as well.
    let oldest = waiting.map { (since: $0.queuedSince, connection: $0) }.sorted { $0.since < $1.since }
    for (_, connection) in oldest where allowance.used > target {
      connection.giveWay()
    }
  }
}
