import Bytes
import Synchronization

extension ViewQuestion {
  /// 128 random bits of this process.
  private static let process =
    UInt64.random(in: .min ... .max).hexadecimal(width: 16)
    + UInt64.random(in: .min ... .max).hexadecimal(width: 16)
  private static let count = Atomic<UInt64>(0)

  /// An id that no other question has, of this process or of another one. Any thread may make one.
  package static func makeID() -> String {
    "\(process)-\(count.add(1, ordering: .relaxed).newValue)"
  }
}
