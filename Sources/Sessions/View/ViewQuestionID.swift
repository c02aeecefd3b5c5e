import Synchronization

/// The ids of questions to views. None comes twice, in this process or in another one.
package enum ViewQuestionID {
  /// 128 random bits of the process.
  private static let process: String = {
    var random = SystemRandomNumberGenerator()
    return (0..<2).map { _ in
      let digits = String(random.next(), radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }()
  private static let count = Atomic<UInt64>(0)

  package static func next() -> String {
    "\(process)-\(count.add(1, ordering: .relaxed).newValue)"
  }
}
