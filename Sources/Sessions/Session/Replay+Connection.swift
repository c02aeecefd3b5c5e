import ChannelLayers
import Transport

extension Replay {
  /// What is replayed before the others have a turn: the client may have gone meanwhile. Bytes of events.
  private static let mostPerTurn = 64 * 1024

  /// Sends what the client has room for. However much is kept, no more than half of what may wait for it does.
  ///
  /// - Parameter written: told of what was written.
  /// - Returns: `more` where this is to be called again: when the connection has been drained, or, where nothing waits in it, once
  ///   others have had their turn. After `wait` the connection asks for its turn by itself.
  func feed(
    _ connection: Connection, _ membership: Membership, in layer: any ChannelLayer, limit: Int,
    written: (SharedBytes) -> Void = { _ in }
  ) -> Progress {
    var done = 0
    while done < Self.mostPerTurn, !connection.isClosed {
      // A part that is as long as the limit would have the member let go by the next event, though it reads.
      let room = limit / 2 - connection.queuedBytes
      guard room > 0 else { break }
      let frames = SharedBytes(capacity: 4096)
      let part = min(Self.mostPerTurn - done, room)
      let progress = next(for: membership, bytes: part, into: frames)
      _ = layer.groups.catchUp(membership)
      connection.write(frames, from: 0)
      written(frames)
      // What was gone through counts, however little became of it: much is packed, or no event of the route.
      done += max(frames.count, part)
      switch progress {
      case .more: break
      case .caughtUp: return .caughtUp
      case .wait(let pause):
        let timer = self.timer ?? connection.reactor.timer { [weak connection] in connection?.askForTurn() }
        self.timer = timer
        timer.schedule(after: pause)
        return progress
      }
    }
    return .more
  }
}
