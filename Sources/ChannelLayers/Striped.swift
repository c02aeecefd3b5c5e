import Synchronization

/// What is kept by names of groups, in several parts with a lock each, so that reactors seldom wait for each other.
final class Striped<Part: Sendable>: Sendable {
  final class Stripe: Sendable {
    let part: Mutex<Part>

    fileprivate init(_ part: Part) {
      self.part = Mutex(part)
    }
  }

  let all: [Stripe]

  /// - Parameter empty: what each part begins with.
  init(_ empty: Part) {
    all = (0..<64).map { _ in Stripe(empty) }
  }

  /// The part that the group is in.
  subscript(group: String) -> Stripe {
    all[Int(UInt(bitPattern: group.hashValue) % UInt(all.count))]
  }
}
