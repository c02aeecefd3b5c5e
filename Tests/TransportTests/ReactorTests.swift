import Glibc
import TestSupport
import Testing

@testable import Transport

struct ReactorTests {
  @Test func `one shared write to a thousand connections is one send each`() throws {
    let pairs = (0..<1000).map { _ in socketPair() }
    let counted = Reports<UInt64>()
    let ends = pairs.map(\.reactor)
    try withReactor({ reactor in
      let connections = ends.map { reactor.adopt(Descriptor(adopting: $0), handler: Handler()) }
      return reactor.mailbox { (_: Int) in
        let shared = SharedBytes(capacity: 16)
        shared.append(Array("news".utf8))
        let before = reactor.counters.sends
        for connection in connections { connection.write(shared, from: 0) }
        counted.add(reactor.counters.sends - before)
        #expect(shared.kept.isEmpty)
        #expect(reactor.waitingBytes == 0)
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

  @Test func `an event of a closed connection never reaches the one that has its descriptor now`() throws {
    let pairs = (0..<64).map { _ in socketPair() }
    let ends = pairs.map(\.reactor)
    let stray = Reports<Int>()
    let closed = Reports<ConnectionEnd>()
    let all = Reports<Int>()
    try withReactor({ reactor in
      let handlers = ends.map { _ in Handler() }
      for (handler, end) in zip(handlers, ends) {
        handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
        handler.onClosed = { closed.add($0) }
        // The first that is read closes all others, whose events of this turn are still to come, and fills their places.
        handler.onReceived = { _, _ in
          for other in handlers { other.connection?.abort() }
          for _ in handlers {
            let (new, far) = socketPair()
            let newcomer = Handler()
            newcomer.onReceived = { _, _ in stray.add(1) }
            newcomer.onFinished = {
              stray.add(2); $0.abort()
            }
            newcomer.onClosed = { _ in close(far) }
            newcomer.connection = reactor.adopt(Descriptor(adopting: new), handler: newcomer)
          }
          all.add(reactor.connectionCount)
        }
      }
      return reactor.mailbox { (_: Int) in
        for (_, test) in pairs { send([1], to: test) }
      }
    }) { mailbox in
      // Sent from the reactor's own thread: all arrive in one turn.
      mailbox.post(1)
      #expect(all.wait(for: 1) == [64])
      #expect(closed.wait(for: 64) == Array(repeating: .local, count: 64))
    }
    #expect(stray.values == [])
    for (_, test) in pairs { close(test) }
  }

  @Test func `closing a connection whose socket is open elsewhere too leaves the reactor quiet`() throws {
    let (end, test) = socketPair()
    let copy = dup(end)
    let turns = Reports<UInt64>()
    try withReactor({ reactor in
      let handler = Handler()
      handler.onReceived = { connection, _ in connection.abort() }
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
      let timer = reactor.timer { turns.add(reactor.counters.turns) }
      handler.onClosed = { _ in
        send([2], to: test)
        timer.schedule(after: .milliseconds(50))
      }
    }) {
      send([1], to: test)
      let counted = try #require(turns.wait(for: 1).first)
      #expect(counted < 10)
    }
    close(copy)
    close(test)
  }

  @Test func `work put off to the end of a turn is done in its order, before the next turn`() throws {
    final class Work: EndOfTurn {
      let number: Int
      let reports: Reports<[Int]>
      var again: (() -> Void)?
      unowned let reactor: Reactor

      init(_ number: Int, _ reports: Reports<[Int]>, _ reactor: Reactor) {
        self.number = number
        self.reports = reports
        self.reactor = reactor
      }

      func endOfTurn() {
        reports.add([number, Int(reactor.counters.turns)])
        again?()
      }
    }
    let done = Reports<[Int]>()
    try withReactor({ reactor in
      let last = Work(3, done, reactor)
      let first = Work(1, done, reactor)
      first.again = { reactor.atEndOfTurn(last) }
      let second = Work(2, done, reactor)
      return reactor.mailbox { (_: Int) in
        reactor.atEndOfTurn(first)
        reactor.atEndOfTurn(second)
        done.add([0, Int(reactor.counters.turns)])
      }
    }) { mailbox in
      mailbox.post(1)
      let all = done.wait(for: 4)
      #expect(all.map(\.[0]) == [0, 1, 2, 3])
      #expect(Set(all.map(\.[1])).count == 1)
    }
  }

  @Test func `a timer wakes a reactor that has nothing else to do`() throws {
    let calls = Reports<Bool>()
    try withReactor({ reactor in
      let start = MonotonicTime.now
      let timer = reactor.timer { calls.add(reactor.now >= start + .milliseconds(20)) }
      timer.schedule(after: .milliseconds(20))
    }) {
      #expect(calls.wait(for: 1) == [true])
    }
  }

  @Test func `an idle reactor does not turn`() throws {
    let turns = Reports<UInt64>()
    try withReactor({ reactor in
      let far = reactor.timer {}
      far.schedule(after: .seconds(1000))
      return reactor.mailbox { (_: Int) in turns.add(reactor.counters.turns) }
    }) { mailbox in
      mailbox.post(1)
      #expect(turns.wait(for: 1) == [1])
    }
  }

  @Test func `what a handler keeps of a stopped reactor is dead, and harmless`() throws {
    final class Kept: @unchecked Sendable {
      var connection: Connection?
      var timer: Timer?
    }
    let (end, test) = socketPair()
    // Written before the reactor's thread has ended, read after it was joined.
    let kept = Kept()
    let (thread, _) = try Reactor.start(name: "test") { reactor in
      kept.connection = reactor.adopt(Descriptor(adopting: end), handler: Handler())
      kept.timer = reactor.timer { Issue.record("it is not called any more") }
      kept.timer?.schedule(after: .seconds(10))
    }
    thread.stop()
    thread.join()
    kept.connection?.write([1])
    kept.connection?.finish(timeout: .seconds(1))
    kept.timer?.cancel()
    #expect(kept.connection?.isClosed == true)
    #expect(receive(1, from: test) == [])
    close(test)
  }

  @Test func `connections do not keep a stopped reactor alive`() throws {
    final class Weak: @unchecked Sendable {
      weak var reactor: Reactor?
    }
    let pairs = (0..<3).map { _ in socketPair() }
    // Written before the reactor's thread has ended, read after it was joined.
    let weak = Weak()
    let ends = pairs.map(\.reactor)
    let (thread, _) = try Reactor.start(name: "test") { reactor in
      weak.reactor = reactor
      for end in ends {
        let handler = Handler()
        let connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
        handler.connection = connection
        connection.write([1])
      }
    }
    thread.stop()
    thread.join()
    #expect(weak.reactor == nil)
    for (_, test) in pairs { close(test) }
  }
}
