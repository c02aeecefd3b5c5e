import Glibc
import LayerTestSupport
import Synchronization
import TestSupport
import Testing

@testable import ChannelLayers
@testable import Transport

/// Renders an event as its bytes.
private struct BytesRenderer: EventRenderer {
  func render(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes) -> Rendering {
    guard case .bytes(let bytes)? = event["bytes"] else { return .ignored }
    unsafe frames.append(bytes.span.bytes)
    return .frames
  }
}

/// A member that is sent to over a socket, and remembers what it was to get.
private final class SlowMember: GroupMember, ConnectionHandler {
  var connection: Connection?
  var membership: Membership?
  var expected: [UInt8] = []

  func deliver(_ frames: SharedBytes, from offset: Int) -> Delivery {
    unsafe frames.withBytes(from: offset) { unsafe expected.append(contentsOf: $0) }
    connection?.write(frames, from: offset)
    return .delivered
  }

  func write(_ bytes: [UInt8]) {
    expected += bytes
    unsafe connection?.write(bytes.span.bytes)
  }

  func fellBehind() {}
  func close(code: UInt16, reason: String) {}
  func undelivered(_ reason: Undelivered) {}
  func received(_ bytes: inout MutableRawSpan) {}
  func peerFinished() {}
  func drained() {}
  func closed(_ reason: ConnectionEnd) {}
}

private enum Step: Sendable {
  case event(group: String, [UInt8])
  case personal(member: Int, [UInt8])
  case finish
}

struct SlowMembersTests {
  /// Whatever the kernel takes, and in whatever order groups, routes and direct writes come.
  @Test(arguments: [1, 2, 3] as [UInt64])
  func `every member gets exactly its bytes, in order, however slowly it reads`(_ seed: UInt64) throws {
    var random = SplitMix(seed: seed)
    let count = 12
    var ends: [(reactor: Int32, test: Int32)] = []
    for index in 0..<count {
      let pair = socketPair()
      setNonBlocking(pair.test)
      var size = Int32(index % 3 == 0 ? 1 << 20 : 4096)
      _ = unsafe setsockopt(pair.reactor, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
      ends.append(pair)
    }
    defer { for end in ends { Glibc.close(end.test) } }
    let expected = Mutex<[[UInt8]]?>(nil)
    let sockets = ends.map(\.reactor)
    let (thread, mailbox) = try Reactor.start(name: "test") { reactor in
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let routes = [TestRoute(), TestRoute()]
      let members = sockets.enumerated().map { index, socket in
        let member = SlowMember()
        member.connection = reactor.adopt(Descriptor(adopting: socket), handler: member)
        for group in index % 4 == 0 ? ["a", "b"] : [index % 2 == 0 ? "a" : "b"] {
          member.membership = groups.join(
            member, group: group, route: routes[index % 2].id, renderer: BytesRenderer())
        }
        return member
      }
      return reactor.mailbox { (step: Step) in
        switch step {
        case .event(let group, let bytes):
          groups.deliver(Event(type: "e", fields: [.init("bytes", .bytes(bytes))]), to: group)
        case .personal(let index, let bytes):
          if let membership = members[index].membership { _ = groups.catchUp(membership) }
          members[index].write(bytes)
        case .finish:
          groups.endOfTurn()
          expected.withLock { $0 = members.map(\.expected) }
        }
      }
    }
    var got = Array(repeating: [UInt8](), count: count)
    for number in 0..<400 {
      let size = [3, 50, 700, 20_000, 100_000][Int(random.next() % 100) / 24]
      let bytes = [UInt8](
        repeating: UInt8(truncatingIfNeeded: number), count: Int(random.next() % UInt64(size)) + 1)
      if random.next() % 4 == 0 {
        mailbox.post(.personal(member: Int(random.next() % UInt64(count)), bytes))
      } else {
        mailbox.post(.event(group: random.next() % 2 == 0 ? "a" : "b", bytes))
      }
      if random.next() % 3 == 0 { read(Int(random.next() % UInt64(count)), ends, &got, most: 30_000) }
    }
    mailbox.post(.finish)
    // Until the last byte has come, or nothing comes for long.
    var idle = 0
    while idle < 20_000 {
      let whole = expected.withLock { $0 }
      if let whole, whole == got { break }
      let before = got.reduce(0) { $0 + $1.count }
      for index in 0..<count { read(index, ends, &got, most: 1 << 20) }
      idle = got.reduce(0) { $0 + $1.count } == before ? idle + 1 : 0
      if idle > 0 { usleep(500) }
    }
    let whole = expected.withLock { $0 } ?? []
    #expect(whole.count == count)
    for index in 0..<whole.count {
      #expect(whole[index] == got[index], "member \(index): \(got[index].count) of \(whole[index].count)")
    }
    thread.stop()
    thread.join()
  }

  private func read(_ index: Int, _ ends: [(reactor: Int32, test: Int32)], _ got: inout [[UInt8]], most: Int)
  {
    var chunk = [UInt8](repeating: 0, count: most)
    let count = unsafe recv(ends[index].test, &chunk, most, 0)
    if count > 0 { got[index] += chunk[..<count] }
  }
}
