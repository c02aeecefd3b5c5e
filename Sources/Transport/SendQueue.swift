import CLinux
import Glibc

/// The bytes that the kernel did not accept at once. Exists only while there are any.
///
/// They are ranges of chunks: of the connection's own chunks, and of chunks that it shares with the other receivers of the same
/// bytes.
final class SendQueue {
  struct Entry {
    /// Nil once the whole entry is sent.
    var chunk: BacklogChunk?
    var start: Int
    var end: Int
  }

  private let backlog: Backlog
  private(set) var entries: [Entry] = []
  /// Entries before this one are sent. They are removed together, so that sending takes linear time.
  private(set) var first = 0
  /// The last chunk of the queue, if it belongs to this connection alone and can be appended to.
  private var own: BacklogChunk?
  /// The bytes that are counted for the list of entries.
  private var countedEntries = 0
  private(set) var byteCount = 0
  /// The unsent bytes of the first write that had to wait. They do not count as late, because an empty queue accepts a write of
  /// any size.
  var exempt = 0
  /// Whether the kernel has taken the beginning of the piece with which the first entry begins, from somewhere else than this
  /// queue.
  var hasBegun = false
  /// Of a connection with TLS: encrypted bytes, which come before all entries; nil if there are none.
  private var sealed: Entry?

  init(_ backlog: Backlog) {
    self.backlog = backlog
  }

  deinit {
    backlog.allowance.subtract(countedEntries)
  }

  var isEmpty: Bool { byteCount == 0 }

  /// The age of the oldest bytes, by the backlog's position.
  var since: UInt64 {
    if let sealed = sealed?.chunk { return sealed.since }
    return first < entries.count ? entries[first].chunk?.since ?? 0 : backlog.position
  }

  /// Own bytes are collected in chunks of up to this size. Bytes.
  private static let largestOwn = 16 * 1024
  private static let smallestOwn = 256
  private static let vectors = 16

  /// Appends the head and the bytes as one piece of the connection's own.
  func append(_ head: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer) {
    let size = head.count + bytes.count
    guard size > 0 else { return }
    let chunk: BacklogChunk
    if let own, own.room >= size {
      chunk = own
    } else {
      let grown = min(Self.largestOwn, (own?.capacity ?? Self.smallestOwn / 2) * 2)
      chunk = backlog.ownChunk(capacity: max(size, grown))
    }
    let start = chunk.count
    unsafe chunk.append(head)
    unsafe chunk.append(bytes)
    chunk.markEnd()
    backlog.passed(size)
    append(Entry(chunk: chunk, start: start, end: chunk.count))
    own = chunk
  }

  func append(_ bytes: UnsafeRawBufferPointer) {
    unsafe append(UnsafeRawBufferPointer(start: nil, count: 0), bytes)
  }

  /// Appends to the empty queue the rest of a piece that the kernel has begun to accept.
  func append(restOfPiece bytes: UnsafeRawBufferPointer) {
    unsafe append(bytes)
    hasBegun = first < entries.count
  }

  /// Appends bytes that several connections share.
  func append(_ shared: SharedBytes, from offset: Int) {
    guard offset < shared.count else { return }
    own = nil
    shared.keep(in: backlog)
    for piece in shared.kept where piece.end > offset {
      let skipped = max(0, offset - piece.start)
      append(
        Entry(
          chunk: piece.chunk, start: piece.position + skipped,
          end: piece.position + piece.end - piece.start))
    }
  }

  /// Joins a range that follows the last entry in the same chunk with that entry, so that a queue of many small frames stays
  /// small.
  func append(_ entry: Entry) {
    byteCount += entry.end - entry.start
    let last = entries.count - 1
    if last >= first, entries[last].chunk === entry.chunk, entries[last].end == entry.start {
      entries[last].end = entry.end
      return
    }
    entries.append(entry)
    count()
  }

  private func count() {
    let size = entries.capacity * MemoryLayout<Entry>.stride
    guard size != countedEntries else { return }
    backlog.allowance.add(size - countedEntries)
    countedEntries = size
  }

  /// Exempts all queued bytes, because they were queued before the kernel had to be waited for.
  func exemptAll() {
    exempt = byteCount
  }

  /// Sends as much as the kernel accepts.
  ///
  /// - Returns: `errno` if sending failed for good, otherwise 0. `byteCount` is the rest.
  func send(to descriptor: Int32, sends: inout UInt64) -> Int32 {
    while !isEmpty {
      sends += 1
      let sent = sendSome(to: descriptor)
      guard sent >= 0 else {
        let code = errno
        if code == EINTR { continue }
        return code == EAGAIN ? 0 : code
      }
      consume(sent)
    }
    return 0
  }

  private func sendSome(to descriptor: Int32) -> Int {
    let upTo = min(first + Self.vectors, entries.count)
    return unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: Self.vectors) { vectors in
      for index in first..<upTo {
        let entry = entries[index]
        unsafe vectors[index - first] = iovec(
          iov_base: entry.chunk?.address(of: entry.start), iov_len: entry.end - entry.start)
      }
      var message = unsafe msghdr()
      unsafe message.msg_iov = vectors.baseAddress
      unsafe message.msg_iovlen = upTo - first
      return unsafe sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL))
    }
  }

  /// Sends as much as the kernel accepts, encrypted.
  ///
  /// - Returns: `errno` if sending failed for good, otherwise 0. `byteCount` is the rest.
  func send(through tls: TLSSession, to descriptor: Int32, sends: inout UInt64) -> Int32 {
    while !isEmpty {
      sends += 1
      if let entry = sealed {
        let sent = unsafe socket_send(
          descriptor, entry.chunk?.address(of: entry.start), entry.end - entry.start, Int32(MSG_NOSIGNAL))
        guard sent >= 0 else {
          if errno == EINTR { continue }
          return errno == EAGAIN ? 0 : errno
        }
        consumeSealed(sent)
        if sealed != nil { return 0 }
      } else {
        let code = encryptSome(through: tls)
        guard code == 0, sealed == nil else { return code }
      }
    }
    return 0
  }

  /// Encrypts and sends the first entries: many small ones as one record.
  private func encryptSome(through tls: TLSSession) -> Int32 {
    let entry = entries[first]
    guard let chunk = entry.chunk else { return 0 }
    guard entry.end - entry.start < TLSSession.recordSize, first + 1 < entries.count else {
      return unsafe chunk.withBytes(entry.start..<entry.end) { unsafe encrypt($0, through: tls) }
    }
    return unsafe withUnsafeTemporaryAllocation(byteCount: TLSSession.recordSize, alignment: 16) { record in
      var count = 0
      for entry in entries[first...] where count < record.count {
        guard let chunk = entry.chunk else { break }
        let size = min(entry.end - entry.start, record.count - count)
        unsafe chunk.withBytes(entry.start..<(entry.start + size)) {
          unsafe UnsafeMutableRawBufferPointer(rebasing: record[count...]).copyMemory(from: $0)
        }
        count += size
      }
      return unsafe encrypt(UnsafeRawBufferPointer(rebasing: record[..<count]), through: tls)
    }
  }

  private func encrypt(_ bytes: UnsafeRawBufferPointer, through tls: TLSSession) -> Int32 {
    let taken = unsafe tls.write(bytes)
    guard taken >= 0 else { return errno }
    consume(taken)
    unsafe tls.withUnsent { unsafe seal($0) }
    return 0
  }

  /// Encrypted bytes that wait.
  var sealedBytes: Int { sealed.map { $0.end - $0.start } ?? 0 }

  /// Queues encrypted bytes, behind those that are encrypted already and before all others. They are not late: of what was queued,
  /// they are what the kernel could not be given yet.
  func seal(_ bytes: UnsafeRawBufferPointer) {
    guard unsafe !bytes.isEmpty else { return }
    let old = sealed
    let oldCount = sealedBytes
    let chunk = backlog.ownChunk(capacity: oldCount + bytes.count)
    if let old, let oldChunk = old.chunk {
      unsafe oldChunk.withBytes(old.start..<old.end) { unsafe chunk.append($0) }
    }
    unsafe chunk.append(bytes)
    sealed = Entry(chunk: chunk, start: 0, end: oldCount + bytes.count)
    byteCount += bytes.count
    exempt += bytes.count
  }

  private func consumeSealed(_ sent: Int) {
    byteCount -= sent
    exempt = max(0, exempt - sent)
    sealed?.start += sent
    if let rest = sealed, rest.start == rest.end { sealed = nil }
  }

  /// Removes the sent bytes.
  func consume(_ sent: Int) {
    byteCount -= sent
    exempt = max(0, exempt - sent)
    var left = sent
    while left > 0 {
      let available = entries[first].end - entries[first].start
      guard available <= left else {
        entries[first].start += left
        break
      }
      left -= available
      entries[first].chunk = nil
      hasBegun = false
      first += 1
    }
    if first == entries.count {
      entries.removeAll()
      own = nil
      first = 0
      count()
    } else if first >= 64, first * 2 > entries.count {
      entries.removeFirst(first)
      first = 0
    }
  }

  /// Removes everything except the rest of the piece that the kernel has begun to accept.
  ///
  /// What is encrypted stays, too: 32 KiB and what is around it.
  ///
  /// - Returns: false if that rest is longer than `most` bytes, without what is encrypted; then nothing has changed.
  func trim(toPieceOf most: Int) -> Bool {
    let sealedCount = sealedBytes
    guard first < entries.count, let chunk = entries[first].chunk else { return true }
    let entry = entries[first]
    let isBegun = hasBegun || entry.start > 0
    let end = isBegun ? chunk.pieceEnd(from: entry.start, to: entry.end) : entry.start
    guard end - entry.start <= most else { return false }
    entries = []
    own = nil
    first = 0
    byteCount = sealedCount
    exempt = sealedCount
    count()
    hasBegun = false
    unsafe chunk.withBytes(entry.start..<end) { unsafe append(restOfPiece: $0) }
    return true
  }
}
