import Synchronization

/// How far a stop has come, as far as those know who ask for it, on whatever thread.
final class StopProgress: Sendable {
  private enum Stage: Comparable {
    case serving
    /// It begins after `shutdown.delay`.
    case announced
    case begun
  }

  private let stage = Mutex(Stage.serving)

  var isAnnounced: Bool { stage.withLock { $0 >= .announced } }
  var hasBegun: Bool { stage.withLock { $0 == .begun } }

  /// - Returns: whether nobody had asked for it before.
  func announce() -> Bool {
    stage.withLock { stage in
      guard stage == .serving else { return false }
      stage = .announced
      return true
    }
  }

  func begin() {
    stage.withLock { $0 = .begun }
  }
}
