import Bytes
import Transport

/// Collects the body of a request in memory that grows with what has arrived.
struct BodyCollector {
  typealias Completion = (Result<[UInt8], HTTPExchange.BodyFault>) -> Void

  /// Bytes.
  private let most: Int
  private let share: MemoryShare
  /// When the client has taken too long.
  let due: MonotonicTime
  let completed: Completion
  private(set) var bytes: [UInt8] = []

  /// The memory that is reserved for the first part of a body. Bytes.
  private static let smallest = 1024

  init(
    atMost most: Int, growing share: MemoryShare, due: MonotonicTime, _ completed: @escaping Completion
  ) {
    self.most = most
    self.share = share
    self.due = due
    self.completed = completed
  }

  /// - Returns: nil if it has room for the part, which is then added.
  mutating func add(_ part: RawSpan) -> HTTPExchange.BodyFault? {
    let count = bytes.count + part.byteCount
    guard count <= most else { return .tooLarge }
    if count > bytes.capacity {
      let capacity = min(max(count, 2 * bytes.capacity, Self.smallest), most)
      guard share.resize(to: capacity) else { return .noMemory }
      bytes.reserveCapacity(capacity)
    }
    bytes.append(copying: part)
    return nil
  }
}
