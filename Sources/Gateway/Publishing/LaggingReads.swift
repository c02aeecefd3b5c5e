import ChannelLayers
import Synchronization

/// The reads of histories over HTTP that wait for this process to catch up with another one.
///
/// A request keeps its place in its lane while it waits, and anybody can make up a position that never comes. So only a few
/// requests wait at a time. The others are answered at once, and told of a gap.
final class LaggingReads: Sendable {
  /// Whether a read may find that the position is ahead, or must have a result all the same.
  enum Read {
    case mayWait, last
  }

  /// Of the whole process.
  static let most = 16

  private let waiting = Atomic<Int>(0)
  private let longest: Duration

  init(longest: Duration = LaggingCopy.longest) {
    self.longest = longest
  }

  /// Reads a history, and again while its copy is behind the position that was asked for.
  func read(_ history: (Read) async -> Publisher.History) async -> Publisher.History {
    var copy = LaggingCopy(longest: longest)
    let first = await history(.mayWait)
    guard case .kept(let slice) = first, var pause = copy.pause(before: slice) else { return first }
    defer { waiting.subtract(1, ordering: .relaxed) }
    guard waiting.add(1, ordering: .relaxed).newValue <= Self.most else { return await history(.last) }
    while true {
      // After a cancellation the client is gone, and any answer will do.
      do { try await Task.sleep(for: pause) } catch { return first }
      let read = await history(.mayWait)
      guard case .kept(let slice) = read, slice.isAhead else { return read }
      guard let next = copy.pause(before: slice) else { return await history(.last) }
      pause = next
    }
  }
}
