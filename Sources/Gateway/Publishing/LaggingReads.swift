import ChannelLayers
import Synchronization

/// The reads of histories over HTTP that wait for this process to catch up with another one.
///
/// A request keeps its place in its lane while it waits, and anybody can make up a position that never comes. So only a few
/// requests wait at a time. The others are answered at once, and told of a gap.
final class LaggingReads: Sendable {
  /// Of the whole process.
  static let most = 16

  private let waiting = Atomic<Int>(0)
  private let longest: Duration

  init(longest: Duration = LaggingCopy.longest) {
    self.longest = longest
  }

  /// Reads a history, and again while its copy is behind the position that was asked for.
  func read(_ history: () async -> Publisher.History) async -> Publisher.History {
    var copy = LaggingCopy(longest: longest)
    var read = await history()
    guard case .kept(let slice) = read, var pause = copy.pause(before: slice) else { return read }
    defer { waiting.subtract(1, ordering: .relaxed) }
    guard waiting.add(1, ordering: .relaxed).newValue <= Self.most else { return read }
    while true {
      // After a cancellation the client is gone, and any answer will do.
      do { try await Task.sleep(for: pause) } catch { return read }
      read = await history()
      guard case .kept(let slice) = read, let next = copy.pause(before: slice) else { return read }
      pause = next
    }
  }
}
