import NIOCore
import Synchronization

/// Counts the bytes of one body as they pass. More than the limit is an error.
final class BodyLimit: Sendable {
  struct TooLong: Error {}

  private let left: Atomic<Int>

  init(_ limit: Int) {
    left = Atomic(limit)
  }

  func pass(_ part: ByteBuffer) throws(TooLong) -> ByteBuffer {
    guard left.subtract(part.readableBytes, ordering: .relaxed).newValue >= 0 else { throw TooLong() }
    return part
  }
}
