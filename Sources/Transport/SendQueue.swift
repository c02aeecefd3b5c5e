import CLinux
import Glibc

/// What the kernel did not take at once; exists only while there is something.
struct SendQueue {
  private enum Chunk {
    case owned([UInt8])
    case shared(SharedBytes)
  }

  private var chunks: [(chunk: Chunk, start: Int, end: Int)] = []
  /// Chunks before this one are sent; they are dropped together, so that sending stays linear.
  private var first = 0
  private(set) var byteCount = 0

  var isEmpty: Bool { byteCount == 0 }

  /// Small writes are put together, so that a queue of many frames is sent in few system calls.
  private static let mergedBelow = 16 * 1024
  private static let vectors = 16

  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard unsafe !bytes.isEmpty else { return }
    byteCount += bytes.count
    if let last = chunks.indices.last, last >= first, case .owned(var merged) = chunks[last].chunk,
      merged.count + bytes.count <= Self.mergedBelow
    {
      // Taken out first, so that appending does not copy.
      chunks[last].chunk = .owned([])
      unsafe merged.append(contentsOf: bytes)
      chunks[last].end = merged.count
      chunks[last].chunk = .owned(merged)
    } else {
      chunks.append((.owned(unsafe Array(bytes)), 0, bytes.count))
    }
  }

  /// Shared bytes are kept by reference where most of their memory is waited for. A small part is copied: it would keep all of
  /// a buffer alive, another one each turn, and the queue would weigh many times what it counts.
  mutating func append(_ shared: SharedBytes, from start: Int) {
    let size = shared.count - start
    guard size > 0 else { return }
    guard size > Self.mergedBelow, size * 2 >= shared.capacity else {
      return unsafe shared.withBytes(from: start) { unsafe append($0) }
    }
    shared.holders += 1
    byteCount += size
    chunks.append((.shared(shared), start, shared.count))
  }

  /// Sends as much as the kernel takes.
  ///
  /// - Returns: `errno` where sending failed for good, otherwise 0; what is left is in `byteCount`.
  mutating func send(to descriptor: Int32, sends: inout UInt64) -> Int32 {
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

  /// Lets go of everything.
  mutating func removeAll() {
    consume(byteCount)
  }

  private func sendSome(to descriptor: Int32) -> Int {
    let upTo = min(first + Self.vectors, chunks.count)
    return unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: Self.vectors) { vectors in
      unsafe fill(vectors, from: first, upTo: upTo) { count in
        var message = unsafe msghdr()
        unsafe message.msg_iov = vectors.baseAddress
        unsafe message.msg_iovlen = count
        return unsafe sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL))
      }
    }
  }

  /// Pins one chunk after the other, then runs the body with all of them in place.
  private func fill(
    _ vectors: UnsafeMutableBufferPointer<iovec>, from index: Int, upTo end: Int, count: Int = 0,
    _ body: (Int) -> Int
  ) -> Int {
    guard index < end else { return body(count) }
    let (chunk, start, stop) = chunks[index]
    func add(_ bytes: UnsafeRawBufferPointer) -> Int {
      unsafe vectors[count] = iovec(
        iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
      return unsafe fill(vectors, from: index + 1, upTo: end, count: count + 1, body)
    }
    switch chunk {
    case .owned(let bytes):
      return unsafe bytes.withUnsafeBytes { unsafe add(UnsafeRawBufferPointer(rebasing: $0[start..<stop])) }
    case .shared(let bytes):
      return unsafe bytes.withBytes(from: start) {
        unsafe add(UnsafeRawBufferPointer(rebasing: $0[..<(stop - start)]))
      }
    }
  }

  private mutating func consume(_ sent: Int) {
    byteCount -= sent
    var left = sent
    while left > 0 {
      let available = chunks[first].end - chunks[first].start
      guard available <= left else {
        chunks[first].start += left
        break
      }
      left -= available
      if case .shared(let bytes) = chunks[first].chunk { bytes.holders -= 1 }
      chunks[first].chunk = .owned([])
      chunks[first].start = chunks[first].end
      first += 1
    }
    if isEmpty {
      chunks.removeAll()
      first = 0
    } else if first >= 64, first * 2 > chunks.count {
      chunks.removeFirst(first)
      first = 0
    }
  }
}
