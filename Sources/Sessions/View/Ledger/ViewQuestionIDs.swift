import Synchronization

/// Names for questions, none of which was ever used: 128 random bits of the process, and a number.
package final class ViewQuestionIDs: Sendable {
  private let prefix: String
  private let last = Atomic<Int>(0)

  package init() {
    let bits = UInt128.random(in: 0...(.max))
    let digits = String(bits, radix: 16)
    prefix = String(repeating: "0", count: 32 - digits.count) + digits
  }

  package func next() -> String { "\(prefix)-\(last.up())" }
}
