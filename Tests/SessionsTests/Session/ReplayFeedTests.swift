import ChannelLayers
import Glibc
import LayerTestSupport
import TestSupport
import Testing

@testable import Sessions
@testable import Transport

/// Keeps more than any client takes.
private final class Endless: ChannelLayer {
  let groups: LocalGroups

  init(_ reactor: Reactor) {
    groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
  }

  func publish(_ event: Event, to group: String, from sender: Membership) {}
  func publish(_ event: Event, to group: String, completed: @escaping (Published) -> Void) {}
  func peers(of group: String) -> [any GroupPeer] { [] }
  func subscribe(to group: String, _ completed: @escaping (Subscription) -> Void) { completed(.active) }
  func unsubscribe(from group: String) {}

  func history(of group: String, behind position: EventPosition?, bytes: Int, isContinued: Bool)
    -> HistorySlice?
  {
    let start = position ?? EventPosition(epoch: 1, offset: 0)
    let count = UInt64(max(1, bytes / Lines.length))
    let events = (1...count).map { number in
      var event = Event(type: "line")
      event.position = EventPosition(epoch: start.epoch, offset: start.offset + number)
      return event
    }
    return HistorySlice(start: start, events: events, isLast: false)
  }
}

private final class Lines: EventRenderer {
  static let length = 100

  func render(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes) -> Rendering {
    unsafe frames.append([UInt8](repeating: 10, count: Self.length).span.bytes)
    return .frames
  }
}

private final class Reader: GroupMember, ConnectionHandler {
  func deliver(_ frames: SharedBytes, from offset: Int) -> Delivery { .delivered }
  func fellBehind() {}
  func close(code: UInt16, reason: String) {}
  func undelivered(_ reason: Undelivered) {}
  func received(_ bytes: inout MutableRawSpan) {}
  func peerFinished() {}
  func drained() {}
  func closed(_ reason: ConnectionEnd) {}
}

struct ReplayFeedTests {
  @Test(arguments: [1024, 16 << 10, 64 << 10, 1 << 20])
  func `what waits is at most half of what may, so that the next event finds room`(_ limit: Int) throws {
    let (own, other) = socketPair()
    try onReactor { reactor in
      let reader = Reader()
      let connection = reactor.adopt(Descriptor(adopting: own), handler: reader)
      let layer = Endless(reactor)
      let replay = Replay(from: .beginning, isNumbered: false, in: layer, renderer: Lines())
      let membership = layer.groups.join(
        reader, group: "room", route: ObjectIdentifier(replay), renderer: replay)
      for _ in 0..<10 {
        #expect(replay.feed(connection, membership, in: layer, limit: limit) == .more)
        #expect(connection.queuedBytes <= limit / 2 + Lines.length)
      }
      #expect(connection.queuedBytes > 0)
      layer.groups.leave(membership)
      connection.abort()
    }
    close(other)
  }
}
