import Bytes
import Synchronization

/// The ids of questions to views. None comes twice, in this process or in another one.
package enum ViewQuestionID {
  /// 128 random bits of the process.
  private static let process = UInt128.random(in: 0...(.max)).hexadecimal(width: 32)
  private static let count = Atomic<UInt64>(0)

  package static func next() -> String {
    "\(process)-\(count.add(1, ordering: .relaxed).newValue)"
  }
}
