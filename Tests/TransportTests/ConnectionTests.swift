import Glibc
import TestSupport
import Testing

@testable import Transport

struct ConnectionTests {
  @Test func `what is read is written back in one send for each read`() throws {
    let (end, test) = socketPair()
    let counters = Reports<Reactor.Counters>()
    try withReactor({ reactor in
      let handler = Handler()
      handler.onReceived = { connection, bytes in
        for _ in 0..<10 { connection.write(bytes.bytes) }
      }
      handler.onClosed = { _ in counters.add(reactor.counters) }
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
    }) {
      send([1, 2, 3], to: test)
      #expect(receive(30, from: test) == Array(repeating: [1, 2, 3], count: 10).flatMap(\.self))
      shutdown(test, Int32(SHUT_WR))
      let counted = try #require(counters.wait(for: 1).first)
      #expect(counted.sends == 1)
      #expect(counted.reads == 2)
    }
    close(test)
  }

  @Test func `ten megabytes to a slow reader arrive whole and in order`() throws {
    let (end, test) = socketPair()
    let block = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    let ends = Reports<ConnectionEnd>()
    try withReactor({ reactor in
      let handler = Handler()
      handler.onReceived = { connection, _ in
        for _ in 0..<50 { connection.write(block) }
        let shared = SharedBytes(capacity: 16)
        for _ in 0..<50 { shared.append(block) }
        connection.write(shared, from: 0)
        connection.finish(timeout: .seconds(20))
      }
      handler.onClosed = { ends.add($0) }
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
    }) {
      send([1], to: test)
      let got = receive(10_000_000, from: test)
      #expect(got.count == 10_000_000)
      for start in stride(from: 0, to: 10_000_000, by: block.count) {
        #expect(got[start..<start + block.count].elementsEqual(block))
      }
      close(test)
      #expect(ends.wait(for: 1).count == 1)
    }
  }

  @Test func `the last bytes arrive although the client still sends`() throws {
    let (end, test) = socketPair()
    let ends = Reports<ConnectionEnd>()
    try withReactor({ reactor in
      let handler = Handler()
      handler.onReceived = { connection, _ in
        connection.write(Array("bye".utf8))
        connection.finish(timeout: .seconds(10))
      }
      handler.onClosed = { ends.add($0) }
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
    }) {
      send(Array(repeating: 1, count: 1000), to: test)
      #expect(receive(100, from: test) == Array("bye".utf8))
      send([2, 3], to: test)
      shutdown(test, Int32(SHUT_WR))
      #expect(ends.wait(for: 1) == [.finished])
    }
    close(test)
  }

  @Test func `a peer that only stops sending can still be answered`() throws {
    let (end, test) = socketPair()
    try withReactor({ reactor in
      let handler = Handler()
      handler.onFinished = { connection in
        connection.write(Array("late".utf8))
        connection.finish(timeout: .seconds(5))
      }
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
    }) {
      shutdown(test, Int32(SHUT_WR))
      #expect(receive(100, from: test) == Array("late".utf8))
    }
    close(test)
  }

  @Test func `a reset ends the connection once, with its reason`() throws {
    let ends = Reports<ConnectionEnd>()
    try withReactor({ reactor in
      let listener = try listenOnAnyPort()
      let port = listener.port
      reactor.listen(on: listener) { descriptor in
        let handler = Handler()
        handler.onClosed = { ends.add($0) }
        handler.connection = reactor.adopt(descriptor, handler: handler)
      }
      return port
    }) { port in
      let client = connect(to: port)
      var linger = linger(l_onoff: 1, l_linger: 0)
      _ = unsafe setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
      send([1], to: client)
      close(client)
      #expect(ends.wait(for: 1) == [.failed(ECONNRESET)])
    }
  }

  /// The system tells of a reset with the next write or, when nothing can be written yet, before one.
  private func isBreak(_ ends: [ConnectionEnd]) -> Bool {
    ends == [.failed(EPIPE)] || ends == [.failed(ECONNRESET)]
  }

  /// A peer that fills what this side may send, without reading, and then resets the connection: a Unix socket that is closed
  /// with something unread does so.
  ///
  /// - Parameter rest: what it sends before that, and this side does not read at first.
  private func breakWhilePaused(
    sending rest: [UInt8] = [2, 3], _ resume: @escaping @Sendable (Connection) -> RestOfInput,
    _ body: (_ received: Reports<[UInt8]>, _ ends: Reports<ConnectionEnd>, _ mailbox: Mailbox<Bool>) -> Void
  ) throws {
    let (end, test) = socketPair()
    let received = Reports<[UInt8]>()
    let ends = Reports<ConnectionEnd>()
    let turns = Reports<Bool>()
    try withReactor({ reactor in
      let handler = Handler()
      handler.onReceived = { connection, bytes in
        if received.values.isEmpty {
          connection.write([UInt8](repeating: 7, count: 1 << 20))
          connection.pauseReading()
        }
        received.add([UInt8](copying: bytes.bytes))
      }
      handler.onBroken = resume
      handler.onClosed = { ends.add($0) }
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
      return (
        reactor.mailbox { (_: Bool) in handler.connection?.resumeReading() },
        reactor.mailbox { (_: Bool) in turns.add(true) }
      )
    }) { mailbox, other in
      send([1], to: test)
      #expect(received.wait(for: 1) == [[1]])
      // The system ends a write that is under way with another error than one that comes later.
      other.post(true)
      #expect(turns.wait(for: 1) == [true])
      send(rest, to: test)
      close(test)
      body(received, ends, mailbox)
    }
  }

  @Test func `what was sent before a reset is read although reading was paused`() throws {
    try breakWhilePaused({ connection in
      connection.resumeReading()
      return .kept
    }) { received, ends, _ in
      #expect(isBreak(ends.wait(for: 1)))
      #expect(received.values == [[1], [2, 3]])
    }
  }

  @Test
  func `a handler that waits for something else gets what was sent before a reset when it resumes reading`()
    throws
  {
    let asked = Reports<Int>()
    try breakWhilePaused({ connection in
      asked.add(connection.queuedBytes)
      return .kept
    }) { received, ends, mailbox in
      #expect(asked.wait(for: 1) == [0])
      #expect(ends.values.isEmpty)
      mailbox.post(true)
      #expect(isBreak(ends.wait(for: 1)))
      #expect(received.values == [[1], [2, 3]])
    }
    #expect(asked.values == [0])
  }

  @Test func `where nothing was sent before a reset no handler is asked to wait`() throws {
    let asked = Reports<Int>()
    try breakWhilePaused(
      sending: [],
      { connection in
        asked.add(connection.queuedBytes)
        return .kept
      }
    ) { received, ends, _ in
      #expect(isBreak(ends.wait(for: 1)))
      #expect(received.values == [[1]])
    }
    #expect(asked.values == [])
  }

  @Test func `a handler without a use for it does not get what was sent before a reset`() throws {
    try breakWhilePaused({ _ in .dropped }) { received, ends, _ in
      #expect(isBreak(ends.wait(for: 1)))
      #expect(received.values == [[1]])
    }
  }

  @Test func `what a vanished peer sent before is read although reading was paused`() throws {
    let (end, test) = socketPair()
    let received = Reports<[UInt8]>()
    let ends = Reports<ConnectionEnd>()
    try withReactor({ reactor in
      let handler = Handler()
      handler.onReceived = {
        $0.pauseReading()
        received.add([UInt8](copying: $1.bytes))
      }
      handler.onBroken = { connection in
        connection.resumeReading()
        return .kept
      }
      handler.onClosed = { ends.add($0) }
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
      return reactor.mailbox { (_: Bool) in handler.connection?.peerVanished() }
    }) { mailbox in
      send([1], to: test)
      #expect(received.wait(for: 1) == [[1]])
      send([2, 3], to: test)
      mailbox.post(true)
      #expect(ends.wait(for: 1) == [.failed(ETIMEDOUT)])
      #expect(received.values == [[1], [2, 3]])
    }
    close(test)
  }

  @Test func `a detached connection belongs to somebody else`() throws {
    let (end, test) = socketPair()
    let taken = Reports<Int32>()
    try withReactor({ reactor in
      let handler = Handler()
      handler.onReceived = { connection, _ in
        if let descriptor = connection.detach() { taken.add(descriptor.take()) }
      }
      handler.onClosed = { _ in Issue.record("it was told that it is closed") }
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
    }) {
      send([1], to: test)
      let descriptor = try #require(taken.wait(for: 1).first)
      send([9], to: descriptor)
      #expect(receive(1, from: test) == [9])
      close(descriptor)
    }
    close(test)
  }

  @Test func `a socket buffer of a few kilobytes delays what is written, and loses nothing`() throws {
    let (end, test) = try tcpPair()
    var size: Int32 = 4096
    _ = unsafe setsockopt(end, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    let queued = Reports<Int>()
    let drained = Reports<Int>()
    try withReactor({ reactor in
      let handler = Handler()
      handler.onDrained = { drained.add($0.queuedBytes) }
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
      return reactor.mailbox { (line: Int) in
        handler.connection?.write([UInt8](repeating: UInt8(line % 251), count: 1000))
        queued.add(handler.connection?.queuedBytes ?? 0)
      }
    }) { mailbox in
      for line in 0..<2000 { mailbox.post(line) }
      let mostQueued = try #require(queued.wait(for: 2000).last)
      #expect(mostQueued > 1_000_000)
      let got = receive(2_000_000, from: test)
      #expect(got == (0..<2000).flatMap { [UInt8](repeating: UInt8($0 % 251), count: 1000) })
      let leftOver = try #require(drained.wait(for: 1).first)
      #expect(leftOver == 0)
    }
    close(test)
  }

  @Test func `frames of many writes leave in few system calls once they had to wait`() throws {
    let (end, test) = socketPair()
    let counted = Reports<UInt64>()
    try withReactor({ reactor in
      let handler = Handler()
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
      handler.onDrained = { _ in counted.add(reactor.counters.sends) }
      return reactor.mailbox { (count: Int) in
        for _ in 0..<count { handler.connection?.write([1, 2, 3]) }
      }
    }) { mailbox in
      mailbox.post(1000)
      #expect(receive(3000, from: test).count == 3000)
      #expect(counted.wait(for: 1) == [1])
    }
    close(test)
  }

  @Test func `what is written directly comes behind shared bytes that wait`() throws {
    let (end, test) = socketPair()
    let shared = Reports<[Bool]>()
    try withReactor({ reactor in
      let bytes = SharedBytes(capacity: 16)
      let handler = Handler()
      handler.onReceived = { connection, _ in
        bytes.append([UInt8](repeating: 1, count: 2_000_000))
        connection.write(bytes, from: 0)
        connection.write([2])
        let before = reactor.waitingBytes > 1_000_000
        // Bytes behind those that are queued belong to nobody yet.
        bytes.append([UInt8](repeating: 3, count: 2_000_000))
        handler.onDrained = { _ in
          bytes.clear()
          shared.add([before, reactor.waitingBytes > 100_000])
        }
      }
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
    }) {
      send([0], to: test)
      let got = receive(2_000_001, from: test)
      #expect(got == [UInt8](repeating: 1, count: 2_000_000) + [2])
      #expect(shared.wait(for: 1) == [[true, false]])
    }
    close(test)
  }

  @Test func `while reading is paused nothing is read, and afterwards everything`() throws {
    let (end, test) = socketPair()
    let received = Reports<[UInt8]>()
    let turned = Reports<UInt64>()
    try withReactor({ reactor in
      let handler = Handler()
      handler.onReceived = {
        received.add([UInt8](copying: $1.bytes)); $0.pauseReading()
      }
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
      return reactor.mailbox { (isLast: Bool) in
        turned.add(reactor.counters.reads)
        if isLast { handler.connection?.resumeReading() }
      }
    }) { mailbox in
      send([1], to: test)
      #expect(received.wait(for: 1) == [[1]])
      send([2, 3], to: test)
      mailbox.post(false)
      #expect(turned.wait(for: 1) == [1])
      mailbox.post(true)
      #expect(received.wait(for: 1) == [[1], [2, 3]])
    }
    close(test)
  }

  @Test func `a peer that does not finish is given up after the time-out`() throws {
    let (end, test) = socketPair()
    let ends = Reports<ConnectionEnd>()
    try withReactor({ reactor in
      let handler = Handler()
      handler.onClosed = { ends.add($0) }
      let connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
      handler.connection = connection
      connection.finish(timeout: .milliseconds(20))
    }) {
      #expect(receive(1, from: test) == [])
      #expect(ends.wait(for: 1) == [.local])
    }
    close(test)
  }

  @Test func `a closed connection is closed once, and takes nothing any more`() throws {
    let (end, test) = socketPair()
    let ends = Reports<ConnectionEnd>()
    let facts = Reports<[Int]>()
    try withReactor({ reactor in
      let handler = Handler()
      handler.onClosed = { ends.add($0) }
      handler.onReceived = { connection, bytes in
        connection.write(bytes.bytes)
        connection.abort()
        connection.abort()
        connection.write(bytes.bytes)
        let shared = SharedBytes(capacity: 1)
        shared.append(bytes.bytes)
        connection.write(shared, from: 0)
        connection.pauseReading()
        connection.resumeReading()
        connection.finish(timeout: .seconds(1))
        let isDetached = connection.detach() != nil
        facts.add([
          connection.isClosed ? 1 : 0, isDetached ? 1 : 0, connection.queuedBytes, shared.kept.count,
        ])
      }
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
      return reactor.mailbox { (_: Int) in ends.add(.failed(0)) }
    }) { mailbox in
      send([1], to: test)
      #expect(facts.wait(for: 1) == [[1, 0, 0, 0]])
      #expect(receive(1, from: test) == [])
      #expect(ends.wait(for: 1) == [.local])
      mailbox.post(0)
      #expect(ends.wait(for: 1) == [.local, .failed(0)])
    }
    close(test)
  }

  @Test func `a connection with an answer on its way is not given away`() throws {
    let (end, test) = socketPair()
    let detached = Reports<Bool>()
    try withReactor({ reactor in
      let handler = Handler()
      handler.onReceived = { connection, bytes in
        connection.write(bytes.bytes)
        detached.add(connection.detach() != nil)
      }
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
    }) {
      send([7], to: test)
      #expect(receive(1, from: test) == [7])
      #expect(detached.wait(for: 1) == [false])
    }
    close(test)
  }

  @Test func `the handler can be exchanged while it reads`() throws {
    let (end, test) = socketPair()
    try withReactor({ reactor in
      let first = Handler()
      let second = Handler()
      second.onReceived = { connection, _ in connection.write([2]) }
      first.onReceived = { connection, _ in
        second.connection = connection
        connection.handler = second
        connection.write([1])
      }
      first.onClosed = { _ in Issue.record("it is no longer the handler") }
      first.connection = reactor.adopt(Descriptor(adopting: end), handler: first)
    }) {
      send([0], to: test)
      #expect(receive(1, from: test) == [1])
      send([0], to: test)
      #expect(receive(1, from: test) == [2])
    }
    close(test)
  }

  @Test func `a detached descriptor can be adopted again`() throws {
    let (end, test) = socketPair()
    let adopted = Reports<Bool>()
    try withReactor({ reactor in
      let second = Handler()
      second.onReceived = { connection, _ in connection.write([2]) }
      let first = Handler()
      first.onReceived = { connection, _ in
        guard let descriptor = connection.detach() else { return }
        second.connection = reactor.adopt(descriptor, handler: second)
        adopted.add(true)
      }
      first.connection = reactor.adopt(Descriptor(adopting: end), handler: first)
    }) {
      send([0], to: test)
      #expect(adopted.wait(for: 1) == [true])
      send([0], to: test)
      #expect(receive(1, from: test) == [2])
    }
    close(test)
  }

  /// The rest is short enough to be kept, so that what is said behind it is understood.
  @Test func `who gives up what waits finishes an answer that the peer has begun to get`() async throws {
    let (end, test) = socketPair()
    let answer = [UInt8](repeating: 1, count: 230_000)
    try await Reactor.withoutThread { reactor in
      let handler = Handler()
      handler.onReceived = { connection, _ in connection.write(answer) }
      let connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
      handler.connection = connection
      send([0], to: test)
      while reactor.turnOnce(at: reactor.now) {}
      #expect((1...65_536).contains(connection.queuedBytes))
      connection.write([2])
      connection.dropQueued()
      connection.write([3])
      connection.finish(timeout: .seconds(20))
      setNonBlocking(test)
      var received: [UInt8] = []
      while !connection.isClosed, received.count < answer.count + 1 {
        let new = receive(65_536, from: test)
        received += new
        if !reactor.turnOnce(at: reactor.now), new.isEmpty { break }
      }
      #expect(received == answer + [3])
    }
    close(test)
  }
}
