import ChannelLayers

/// Deals out the turns of a worker's reactor to the sessions and streams that are sent what their group keeps: a few of them
/// have a part in each turn, so that whatever number of clients ask for a history, the others wait for a few parts at most.
///
/// Confined to its reactor.
final class ReplayTurns {
  /// Parts in one turn of the reactor.
  private static let mostPerTurn = 8

  /// Has `next` called in the next turn.
  private let post: () -> Void
  private var waiting: [(replay: Replay, work: () -> Void)] = []
  private var fed = 0
  private var isPosted = false

  /// - Parameter post: has `next` called in the next turn of the reactor.
  init(post: @escaping () -> Void) {
    self.post = post
  }

  /// Whether a part may be sent in this turn; otherwise `work` is called in one of the next ones.
  func mayFeed(_ replay: Replay, else work: @escaping () -> Void) -> Bool {
    guard fed < Self.mostPerTurn else {
      goOn(replay, work)
      return false
    }
    fed += 1
    schedule()
    return true
  }

  /// Calls `work` in one of the next turns; once, however often it is asked for until then.
  func goOn(_ replay: Replay, _ work: @escaping () -> Void) {
    guard !replay.isToGoOn else { return }
    replay.isToGoOn = true
    waiting.append((replay, work))
    schedule()
  }

  private func schedule() {
    guard !isPosted else { return }
    isPosted = true
    post()
  }

  /// The next turn of the reactor.
  func next() {
    isPosted = false
    fed = 0
    let turn = waiting.prefix(Self.mostPerTurn)
    waiting.removeFirst(turn.count)
    for (replay, work) in turn {
      replay.isToGoOn = false
      work()
    }
    if waiting.isEmpty { waiting = [] } else { schedule() }
  }
}
