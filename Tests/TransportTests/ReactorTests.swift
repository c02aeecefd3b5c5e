import Glibc
import Synchronization
import Testing

@testable import Transport

/// Starts a reactor, runs the body with its thread and the set-up's result, and stops it.
private func withReactor<Result: Sendable>(
  _ setUp: @escaping @Sendable (Reactor) throws -> Result, _ body: (Result) throws -> Void
) throws {
  let (thread, result) = try Reactor.start(name: "test", setUp)
  defer {
    thread.stop()
    thread.join()
  }
  try body(result)
}

@Suite(.serialized) struct ReactorTests {
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
        for _ in 0..<50 { unsafe connection.write(block.span.bytes) }
        let shared = SharedBytes(capacity: 16)
        for _ in 0..<50 { unsafe shared.append(block.span.bytes) }
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
        unsafe connection.write(Array("bye".utf8).span.bytes)
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
        unsafe connection.write(Array("late".utf8).span.bytes)
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
      let listener = try Listener.tcp(host: "127.0.0.1", port: 0, reusePort: false, backlog: 10)
      guard case .tcp(_, let port) = listener.address else { return 0 }
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

  @Test func `a storm of connections is accepted, and slots are used again`() throws {
    let slots = Reports<Int>()
    try withReactor({ reactor in
      let listener = try Listener.tcp(host: "127.0.0.1", port: 0, reusePort: false, backlog: 4096)
      guard case .tcp(_, let port) = listener.address else { return 0 }
      reactor.listen(on: listener) { descriptor in
        let handler = Handler()
        handler.onReceived = { connection, bytes in
          connection.write(bytes.bytes)
          connection.finish(timeout: .seconds(5))
        }
        handler.onClosed = { _ in slots.add(reactor.connectionCount) }
        handler.connection = reactor.adopt(descriptor, handler: handler)
      }
      return port
    }) { port in
      for _ in 0..<20 {
        let clients = (0..<100).map { _ in connect(to: port) }
        for (index, client) in clients.enumerated() {
          send([UInt8(index)], to: client)
          #expect(receive(1, from: client) == [UInt8(index)])
          close(client)
        }
      }
      #expect(slots.wait(for: 2000).last == 0)
    }
  }

  @Test func `without descriptors a client is turned away, and accepting goes on later`() throws {
    try withReactor({ reactor in
      let listener = try Listener.tcp(host: "127.0.0.1", port: 0, reusePort: false, backlog: 64)
      guard case .tcp(_, let port) = listener.address else { return 0 }
      reactor.listen(on: listener) { descriptor in
        let handler = Handler()
        handler.onReceived = { connection, bytes in connection.write(bytes.bytes) }
        handler.connection = reactor.adopt(descriptor, handler: handler)
      }
      return port
    }) { port in
      let client = connect(to: port)
      send([1], to: client)
      #expect(receive(1, from: client) == [1])
      let refused = socket(AF_INET, 1, 0)
      var old = rlimit()
      unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &old)
      var low = old
      low.rlim_cur = rlim_t(refused + 1)
      unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &low)
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = UInt16(port).bigEndian
      address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      _ = unsafe withUnsafePointer(to: &address) {
        unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          unsafe Glibc.connect(refused, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      #expect(receive(1, from: refused) == [])
      unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &old)
      let later = connect(to: port)
      send([2], to: later)
      #expect(receive(1, from: later) == [2])
      for descriptor in [client, refused, later] { close(descriptor) }
    }
  }

  @Test func `one shared write to a thousand connections is one send each`() throws {
    let pairs = (0..<1000).map { _ in socketPair() }
    let counted = Reports<UInt64>()
    let ends = pairs.map(\.reactor)
    try withReactor({ reactor in
      let connections = ends.map { reactor.adopt(Descriptor(adopting: $0), handler: Handler()) }
      return reactor.mailbox { (_: Int) in
        let shared = SharedBytes(capacity: 16)
        unsafe shared.append(Array("news".utf8).span.bytes)
        let before = reactor.counters.sends
        for connection in connections { connection.write(shared, from: 0) }
        counted.add(reactor.counters.sends - before)
        #expect(!shared.isShared)
      }
    }) { mailbox in
      mailbox.post(1)
      #expect(counted.wait(for: 1) == [1000])
      for (_, test) in pairs {
        #expect(receive(4, from: test) == Array("news".utf8))
        close(test)
      }
    }
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

  @Test func `stopping closes every connection and tells its handler`() throws {
    let (end, test) = socketPair()
    let ends = Reports<ConnectionEnd>()
    let (thread, _) = try Reactor.start(name: "test") { reactor in
      let handler = Handler()
      handler.onClosed = { ends.add($0) }
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
    }
    thread.stop()
    thread.join()
    #expect(ends.wait(for: 1) == [.local])
    #expect(receive(1, from: test) == [])
    close(test)
  }
}

struct MailboxTests {
  @Test func `messages of eight threads arrive, each thread's in order`() throws {
    let received = Reports<(Int, Int)>()
    try withReactor({ reactor in reactor.mailbox { received.add($0) } }) { (mailbox: Mailbox<(Int, Int)>) in
      let threads = try (0..<8).map { thread in
        try Reactor.start(name: "sender") { _ in
          for number in 0..<1000 { mailbox.post((thread, number)) }
        }.thread
      }
      let all = received.wait(for: 8000)
      #expect(all.count == 8000)
      for thread in 0..<8 { #expect(all.filter { $0.0 == thread }.map(\.1) == Array(0..<1000)) }
      for thread in threads {
        thread.stop()
        thread.join()
      }
    }
  }

  @Test func `a stopped reactor takes nothing`() throws {
    let (thread, mailbox) = try Reactor.start(name: "test") { reactor in reactor.mailbox { (_: Int) in } }
    thread.stop()
    thread.join()
    #expect(!mailbox.post(1))
  }
}

struct TimerTests {
  /// A wheel whose clock the test moves.
  private final class Clock {
    var time = MonotonicTime(nanoseconds: 1_000_000_000)
    lazy var wheel = TimerWheel { [unowned self] in time }

    func advance(_ duration: Duration) {
      time = time + duration
      wheel.advance(to: time)
    }
  }

  @Test func `a timer is called once, never early, and soon`() {
    let clock = Clock()
    var calls = 0
    let timer = clock.wheel.makeTimer { calls += 1 }
    timer.schedule(after: .milliseconds(500))
    clock.advance(.milliseconds(499))
    #expect(calls == 0)
    clock.advance(.milliseconds(40))
    #expect(calls == 1)
    clock.advance(.seconds(60))
    #expect(calls == 1)
  }

  @Test func `a timer beyond a turn of the wheel waits for it`() {
    let clock = Clock()
    var calls = 0
    let timer = clock.wheel.makeTimer { calls += 1 }
    timer.schedule(after: .seconds(30))
    for _ in 0..<29 { clock.advance(.seconds(1)) }
    #expect(calls == 0)
    clock.advance(.milliseconds(1040))
    #expect(calls == 1)
  }

  @Test func `timers are called in order, and can be cancelled and set again`() {
    let clock = Clock()
    var calls: [Int] = []
    let timers = (0..<3).map { number in clock.wheel.makeTimer { calls.append(number) } }
    timers[2].schedule(after: .milliseconds(100))
    timers[1].schedule(after: .milliseconds(300))
    timers[0].schedule(after: .milliseconds(600))
    timers[1].cancel()
    timers[0].schedule(after: .milliseconds(50))
    clock.advance(.seconds(1))
    #expect(calls == [0, 2])
    #expect(clock.wheel.nextWakeUp == nil)
  }

  @Test func `thousands of timers fire, whenever the clock is looked at`() {
    let clock = Clock()
    var calls = 0
    let timers = (0..<5000).map { _ in clock.wheel.makeTimer { calls += 1 } }
    for (number, timer) in timers.enumerated() { timer.schedule(after: .milliseconds(number * 7)) }
    clock.advance(.seconds(10))
    #expect(calls > 1400)
    clock.advance(.seconds(60))
    #expect(calls == 5000)
  }
}

struct ListenerTests {
  @Test func `a port in use is said in words`() throws {
    let first = try Listener.tcp(host: "127.0.0.1", port: 0, reusePort: false, backlog: 1)
    guard case .tcp(_, let port) = first.address else { return }
    #expect(throws: TransportFailure.addressInUse) {
      _ = try Listener.tcp(host: "127.0.0.1", port: port, reusePort: false, backlog: 1)
    }
    #expect(TransportFailure.addressInUse.description == "another process listens there already")
  }

  @Test func `a socket file that nobody answers on is replaced, one in use is not`() throws {
    let path = "/tmp/sluice-test-\(getpid()).sock"
    defer { Listener.removeSocketFile(path) }
    do {
      let first = try Listener.unix(path: path)
      #expect(throws: TransportFailure.addressInUse) { _ = try Listener.unix(path: path) }
      _ = first.rawValue
    }
    let second = try Listener.unix(path: path)
    #expect(second.address == .unix(path: path))
  }
}
