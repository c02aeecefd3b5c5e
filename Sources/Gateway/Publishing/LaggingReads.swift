import ChannelLayers
import Synchronization
import Transport

/// The reads of histories over HTTP that wait for this process to catch up with another one.
///
/// A request keeps its place in its lane while it waits, and anybody can make up a position that never comes. So only a few
/// requests wait at a time. The others are answered at once, and told of a gap.
final class LaggingReads: Sendable {
  /// Whether a read may find that the position is ahead, or must have a result all the same.
  enum Read {
    case mayWait, last
  }

  /// A read calls back with its result, at once or later on the same reactor.
  typealias Reading = (Read, @escaping (Publisher.History) -> Void) -> Void

  /// Of the whole process.
  static let most = 16

  private let waiting = Atomic<Int>(0)
  private let longest: Duration

  init(longest: Duration = LaggingCopy.longest) {
    self.longest = longest
  }

  /// Reads a history, and again while its copy is behind the position that was asked for.
  ///
  /// - Parameter completed: called once, at once or later on the reactor.
  func read(
    on reactor: Reactor, _ history: @escaping Reading, _ completed: @escaping (Publisher.History) -> Void
  ) {
    history(.mayWait) { [self] first in
      var copy = LaggingCopy(longest: longest)
      guard case .kept(let slice) = first, let pause = copy.pause(before: slice) else {
        return completed(first)
      }
      guard waiting.add(1, ordering: .relaxed).newValue <= Self.most else {
        waiting.subtract(1, ordering: .relaxed)
        return history(.last, completed)
      }
      LaggingRead(of: copy, on: reactor, history) { [self] result in
        waiting.subtract(1, ordering: .relaxed)
        completed(result)
      }.wait(pause)
    }
  }
}

/// One read that waits. Confined to its reactor, and kept by what it waits for.
private final class LaggingRead {
  private var copy: LaggingCopy
  private let reactor: Reactor
  private let history: LaggingReads.Reading
  private let completed: (Publisher.History) -> Void
  private var timer: Timer?

  init(
    of copy: LaggingCopy, on reactor: Reactor, _ history: @escaping LaggingReads.Reading,
    _ completed: @escaping (Publisher.History) -> Void
  ) {
    self.copy = copy
    self.reactor = reactor
    self.history = history
    self.completed = completed
  }

  func wait(_ pause: Duration) {
    let timer = timer ?? reactor.timer { [self] in readAgain() }
    self.timer = timer
    timer.schedule(after: pause)
  }

  private func readAgain() {
    history(.mayWait) { [self] read in
      guard case .kept(let slice) = read, slice.isAhead else { return end(read) }
      guard let pause = copy.pause(before: slice) else { return history(.last) { self.end($0) } }
      wait(pause)
    }
  }

  private func end(_ result: Publisher.History) {
    timer = nil
    completed(result)
  }
}
