/// Pauses that double with each failure in a row, up to a longest one. A pure value.
struct Backoff: Sendable, Equatable {
  /// The pause after the first failure.
  let first: Duration
  let longest: Duration

  /// - Parameter failures: in a row, at least 1.
  func pause(after failures: Int) -> Duration {
    min(first * (1 << min(max(failures, 1) - 1, Self.mostDoublings)), longest)
  }

  /// How many failures lead to pauses of their own: after so many, each pause is the longest one.
  var steps: Int {
    (1...Self.mostDoublings + 1).first { pause(after: $0) == longest } ?? Self.mostDoublings + 1
  }

  private static let mostDoublings = 16
}
