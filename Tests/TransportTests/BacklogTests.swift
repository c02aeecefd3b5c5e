import Glibc
import TestSupport
import Testing

@testable import Transport

struct BacklogTests {
  /// A reactor whose bound is so small that few can wait, and connections on it that nobody reads from.
  private final class Crowd {
    let budget: MemoryBudget
    var connections: [Connection] = []
    var told: [Int] = []
    private var ends: [Int32] = []

    init(_ reactor: Reactor, count: Int, budget: MemoryBudget) {
      self.budget = budget
      reactor.boundSending(by: MemoryAllowance(of: budget, among: 1))
      for index in 0..<count {
        let (end, test) = socketPair()
        ends.append(test)
        let handler = Member(index, self)
        connections.append(reactor.adopt(Descriptor(adopting: end), handler: handler))
      }
    }

    func end() {
      for connection in connections { connection.abort() }
      for end in ends { close(end) }
    }

    func frames(_ count: Int) -> SharedBytes {
      let frames = SharedBytes(capacity: 64)
      frames.append([UInt8](repeating: 7, count: count))
      return frames
    }
  }

  private final class Member: ConnectionHandler {
    let index: Int
    unowned let crowd: Crowd

    init(_ index: Int, _ crowd: Crowd) {
      self.index = index
      self.crowd = crowd
    }

    func received(_ bytes: inout MutableRawSpan) {}
    func peerFinished() {}
    func drained() {}
    func closed(_ reason: ConnectionEnd) {}
    func mustGiveWay() {
      crowd.told.append(index)
    }
  }

  @Test func `those go whose bytes have waited longest, and only as many as have to`() throws {
    let results = Reports<[Int]>()
    let budget = MemoryBudget(total: 4 << 20)
    try withReactor { reactor in
      let crowd = Crowd(reactor, count: 8, budget: budget)
      // Each is filled on its own, with what nobody shares.
      for connection in crowd.connections { connection.write(crowd.frames(900_000), from: 0) }
      #expect(crowd.told.isEmpty)
      #expect(reactor.waitingBytes > budget.total)
      reactor.relieve()
      results.add(crowd.told)
      #expect(reactor.waitingBytes <= budget.total)
      #expect(crowd.connections.filter(\.isClosed).count == crowd.told.count)
      // Until the next one waits nobody else has to go.
      reactor.relieve()
      results.add(crowd.told)
      crowd.end()
      #expect(reactor.waitingBytes < 100_000)
    } _: {
      let told = results.values
      #expect(told[0] == told[1])
      #expect(told[0] == Array(0..<told[0].count))
      #expect((3...5).contains(told[0].count), "\(told[0])")
    }
    #expect(budget.taken == 0)
  }

  @Test func `a thousand that wait for the same cost it once`() throws {
    let budget = MemoryBudget(total: 64 << 20)
    try withReactor { reactor in
      let crowd = Crowd(reactor, count: 100, budget: budget)
      for _ in 0..<20 {
        let frames = crowd.frames(400_000)
        for connection in crowd.connections { connection.write(frames, from: 0) }
        reactor.relieve()
      }
      #expect(crowd.told.isEmpty)
      #expect(crowd.connections.allSatisfy { $0.queuedBytes > 7 << 20 })
      #expect(reactor.waitingBytes < 12 << 20)
      #expect(budget.used == reactor.waitingBytes)
      crowd.end()
    } _: {
    }
  }

  @Test func `one message of any size is not late, and what comes behind it is`() throws {
    try withReactor { reactor in
      let crowd = Crowd(reactor, count: 1, budget: MemoryBudget(total: 64 << 20))
      let connection = crowd.connections[0]
      connection.write(crowd.frames(5 << 20), from: 0)
      #expect(connection.queuedBytes > 4 << 20)
      #expect(connection.lateBytes == 0)
      connection.write(crowd.frames(1000), from: 0)
      #expect(connection.lateBytes == 1000)
      crowd.end()
    } _: {
    }
  }

  @Test func `a socket takes no more for a peer that does not read than it can put on the way`() throws {
    let listener = try listenOnAnyPort()
    let port = listener.port
    setNonBlocking(listener.rawValue, false)
    let peer = socket(AF_INET, 1, 0)
    var small: Int32 = 4096
    unsafe setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &small, socklen_t(MemoryLayout<Int32>.size))
    #expect(connect(peer, to: port) == 0)
    let end = accept(listener.rawValue, nil, nil)
    setNonBlocking(end)
    let bytes = [UInt8](repeating: 1, count: 64 * 1024)
    var taken = 0
    while true {
      let sent = unsafe Glibc.send(end, bytes, bytes.count, Int32(MSG_NOSIGNAL))
      guard sent > 0 else { break }
      taken += sent
    }
    // 2.8 MB without the bound.
    #expect(taken < 256 * 1024, "\(taken) bytes")
    close(end)
    close(peer)
  }
}
