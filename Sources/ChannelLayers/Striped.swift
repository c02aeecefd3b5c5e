import Synchronization

/// Values by group name in several parts with a lock each, so that reactors seldom wait for each other.
final class Striped<Part: Sendable>: Sendable {
  final class Stripe: Sendable {
    let part: Mutex<Part>

    fileprivate init(_ part: Part) {
      self.part = Mutex(part)
    }
  }

  let all: [Stripe]

  /// - Parameter empty: the initial value of each part.
  init(_ empty: Part) {
    all = (0..<64).map { _ in Stripe(empty) }
  }

  /// The part for the group.
  subscript(group: String) -> Stripe {
    all[Int(UInt(bitPattern: group.hashValue) % UInt(all.count))]
  }
}
