import Bytes
import Glibc
import TestSupport
import Testing

@testable import Transport

struct ConnectionStateTests {
  /// A state and its chunks as they arrive in another process.
  private static func handed(_ state: ConnectionState, _ chunks: UnsentChunks) throws -> (
    ConnectionState, UnsentChunks
  ) {
    var (one, other) = (RecordWriter(), RecordWriter())
    state.write(to: &one)
    chunks.write(to: &other)
    return (
      try RecordReader.read(one.bytes[...], as: ConnectionState.self),
      try RecordReader.read(other.bytes[...], as: UnsentChunks.self)
    )
  }

  /// Takes the state of a connection and goes on with a copy of its descriptor on the same reactor, as another process would.
  private static func moved(
    _ connection: Connection, on reactor: Reactor, handler: any ConnectionHandler
  ) throws -> Connection {
    let chunks = UnsentChunks()
    var state = try #require(connection.state(chunks))
    state.descriptor = try Descriptor.duplicate(of: state.descriptor).take()
    connection.handler = nil
    reactor.forget(connection)
    let (handed, restored) = try handed(state, chunks)
    #expect(handed == state)
    #expect(handed.fits(restored))
    return reactor.adopt(handed, restored, handler: handler)
  }

  @Test func `what is not yet sent is sent by whoever goes on`() async throws {
    let (end, test) = socketPair()
    let block = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    try await Reactor.withoutThread { reactor in
      let connection = reactor.adopt(Descriptor(adopting: end), handler: Handler())
      connection.write(unsafe block.span.bytes)
      let shared = SharedBytes(capacity: 16)
      shared.append(unsafe block.span.bytes)
      connection.write(shared, from: 100_000)
      _ = reactor.turnOnce(at: .now)
      #expect(connection.queuedBytes > 0)
      let late = connection.lateBytes
      let next = try Self.moved(connection, on: reactor, handler: Handler())
      #expect(next.queuedBytes == connection.queuedBytes)
      #expect(next.lateBytes == late)
      var got: [UInt8] = []
      setNonBlocking(test)
      var buffer = [UInt8](repeating: 0, count: 65536)
      while got.count < 500_000 {
        let count = unsafe recv(test, &buffer, buffer.count, 0)
        if count > 0 { got += buffer[..<count] }
        _ = reactor.turnOnce(at: .now)
      }
      #expect(got == block + block[100_000...])
      #expect(next.queuedBytes == 0)
    }
    close(test)
  }

  @Test func `what was read and not handled comes first`() async throws {
    let (end, test) = socketPair()
    try await Reactor.withoutThread { reactor in
      let first = Handler()
      first.onReceived = { connection, bytes in
        connection.leave(last: bytes.byteCount - 2)
        connection.pauseReading()
      }
      let connection = reactor.adopt(Descriptor(adopting: end), handler: first)
      first.connection = connection
      send([1, 2, 3, 4, 5], to: test)
      _ = reactor.turnOnce(at: .now)
      let second = Handler()
      var got: [UInt8] = []
      second.onReceived = { _, bytes in got += [UInt8](copying: bytes.bytes) }
      let next = try Self.moved(connection, on: reactor, handler: second)
      second.connection = next
      send([6], to: test)
      _ = reactor.turnOnce(at: .now)
      #expect(got.isEmpty, "it is paused")
      next.resumeReading()
      for _ in 0..<3 { _ = reactor.turnOnce(at: .now) }
      #expect(got == [3, 4, 5, 6])
    }
    close(test)
  }

  @Test func `a connection that is on its way down goes down`() async throws {
    let (end, test) = socketPair()
    try await Reactor.withoutThread { reactor in
      let connection = reactor.adopt(Descriptor(adopting: end), handler: Handler())
      connection.write(unsafe Array("bye".utf8).span.bytes)
      connection.finish(timeout: .seconds(5))
      _ = reactor.turnOnce(at: .now)
      let next = try Self.moved(connection, on: reactor, handler: Handler())
      _ = reactor.turnOnce(at: .now)
      #expect(receive(3, from: test) == Array("bye".utf8))
      shutdown(test, Int32(SHUT_WR))
      for _ in 0..<3 { _ = reactor.turnOnce(at: .now) }
      #expect(next.isClosed)
    }
    close(test)
  }

  @Test func `states of several turns have what has come into a block, and one filled anew is another`()
    async throws
  {
    let pairs = (0..<3).map { _ in socketPair() }
    defer { for pair in pairs { close(pair.1) } }
    try await Reactor.withoutThread { reactor in
      let connections = pairs.map { reactor.adopt(Descriptor(adopting: $0.0), handler: Handler()) }
      for connection in connections {
        connection.write(unsafe [UInt8](repeating: 9, count: 900_000).span.bytes)
      }
      let chunks = UnsentChunks()
      var states: [ConnectionState] = []
      for (number, connection) in connections.enumerated() {
        // The block is nobody's before the last one gets it.
        if number == 2 { for other in connections[..<2] { other.abort() } }
        _ = reactor.turnOnce(at: .now)
        let shared = SharedBytes(capacity: 16)
        shared.append(unsafe [UInt8](repeating: UInt8(number), count: 100).span.bytes)
        connection.write(shared, from: 0)
        states.append(try #require(connection.state(chunks)))
      }
      for (number, state) in states.enumerated() {
        let (handed, restored) = try Self.handed(state, chunks)
        try #require(handed.fits(restored))
        let part = try #require(handed.unsent.last)
        let bytes = unsafe restored.chunk(part.block, in: reactor.backlog)
          .withBytes(part.start..<part.end) { unsafe Array($0) }
        #expect(bytes == [UInt8](repeating: UInt8(number), count: 100))
      }
    }
  }

  @Test func `unsent bytes that are missing are noticed`() throws {
    var state = ConnectionState(descriptor: 5)
    state.unsent = [.init(block: 0, start: 0, end: 10)]
    #expect(!state.fits(UnsentChunks()))
  }

  @Test func `a reactor that holds still receives mail and reads nothing`() throws {
    let (end, test) = socketPair()
    let (got, quiet) = (Reports<Int>(), Reports<Int>())
    let (thread, mailbox) = try Reactor.start(name: "still") { reactor in
      let handler = Handler()
      handler.onReceived = { _, bytes in got.add(bytes.byteCount) }
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
      return reactor.mailbox { (still: Bool) in
        if still {
          reactor.holdStill()
          reactor.whenQuiet { quiet.add(1) }
        } else {
          reactor.stir()
        }
      }
    }
    mailbox.post(true)
    #expect(quiet.wait(for: 1) == [1])
    send([1, 2, 3], to: test)
    mailbox.post(true)
    #expect(quiet.wait(for: 1) == [1, 1])
    #expect(got.wait(for: 0) == [])
    mailbox.post(false)
    #expect(got.wait(for: 1) == [3])
    thread.stop()
    thread.join()
    close(test)
  }

  @Test func `a silent reactor receives mail, and sends nothing before it goes on`() throws {
    let (end, test) = socketPair()
    let quiet = Reports<Int>()
    let (thread, mailbox) = try Reactor.start(name: "silent") { reactor in
      let connection = reactor.adopt(Descriptor(adopting: end), handler: Handler())
      return reactor.mailbox { (order: String) in
        switch order {
        case "still":
          reactor.holdStill()
          reactor.whenQuiet {
            reactor.fallSilent()
            quiet.add(1)
          }
        case "write":
          connection.write(unsafe [UInt8](repeating: 7, count: 3).span.bytes)
          reactor.whenQuiet { quiet.add(2) }
        default: reactor.stir()
        }
      }
    }
    mailbox.post("still")
    #expect(quiet.wait(for: 1) == [1])
    mailbox.post("write")
    #expect(quiet.wait(for: 1) == [1, 2])
    var byte: UInt8 = 0
    #expect(unsafe recv(test, &byte, 1, Int32(MSG_DONTWAIT)) == -1)
    mailbox.post("stir")
    #expect(receive(3, from: test) == [7, 7, 7])
    thread.stop()
    thread.join()
    close(test)
  }

  @Test func `a reactor is quiet once everything was received that was posted before`() throws {
    let seen = Reports<String>()
    let (thread, orders) = try Reactor.start(name: "quiet") { reactor in
      // This mailbox is looked at before the one that the order comes to.
      let events = reactor.mailbox { (event: String) in seen.add(event) }
      return reactor.mailbox { (_: Int) in
        reactor.holdStill()
        events.post("an event")
        reactor.whenQuiet { seen.add("quiet") }
      }
    }
    orders.post(1)
    #expect(seen.wait(for: 2) == ["an event", "quiet"])
    thread.stop()
    thread.join()
  }
}
