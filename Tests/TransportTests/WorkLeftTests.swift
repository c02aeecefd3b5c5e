import Glibc
import TestSupport
import Testing

@testable import Transport

/// Connections with work left: what their handlers leave of a read, and turns that they ask for.
struct WorkLeftTests {
  /// Uses the processor until the reactor says that the time of this handler is over.
  private static func useUpTime(of reactor: Reactor) {
    while reactor.hasTimeLeft() {}
  }

  private static let pattern = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }

  @Test func `what a handler leaves comes again in front of what came later, each byte once`() throws {
    let (end, test) = socketPair()
    let received = Reports<[UInt8]>()
    let ended = Reports<Int>()
    try withReactor({ reactor in
      let handler = Handler()
      var sizes = [1, 7, 4000, 1, 900].makeIterator()
      handler.onReceived = { connection, bytes in
        let size = min(sizes.next() ?? 3000, bytes.byteCount)
        received.add([UInt8](copying: bytes.bytes.extracting(0..<size)))
        connection.leave(last: bytes.byteCount - size)
      }
      handler.onFinished = { connection in
        ended.add(reactor.unreadBytes)
        connection.abort()
      }
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
    }) {
      for start in stride(from: 0, to: Self.pattern.count, by: 12_500) {
        send(Array(Self.pattern[start..<start + 12_500]), to: test)
      }
      close(test)
      #expect(ended.wait(for: 1) == [0])
      #expect(received.values.flatMap(\.self) == Self.pattern)
    }
  }

  @Test func `those with work left take turns, and an echo, a message and a timer come in between`() throws {
    let flooding = (0..<3).map { _ in socketPair() }
    let floodingEnds = flooding.map(\.reactor)
    let (end, quiet) = socketPair()
    let turns = Reports<Int>()
    let others = Reports<String>()
    try withReactor({ reactor in
      for (number, end) in floodingEnds.enumerated() {
        let handler = Handler()
        handler.onReceived = { connection, bytes in
          turns.add(number)
          Self.useUpTime(of: reactor)
          // It would take a minute to the end.
          connection.leave(last: max(1, bytes.byteCount - 1))
        }
        handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
      }
      echo(Descriptor(adopting: end), on: reactor)
      let timer = reactor.timer { others.add("timer") }
      return reactor.mailbox { (word: String) in
        others.add(word)
        timer.schedule(after: .milliseconds(1))
      }
    }) { (mailbox: Mailbox<String>) in
      for (_, test) in flooding { send(Array(Self.pattern.prefix(60_000)), to: test) }
      while Set(turns.values).count < 3 { _ = turns.wait(for: 1) }
      let allThere = turns.values.count + 3
      send([5], to: quiet)
      #expect(receive(1, from: quiet) == [5])
      mailbox.post("message")
      #expect(others.wait(for: 2) == ["message", "timer"])
      while turns.values.count < allThere + 42 { _ = turns.wait(for: 1) }
      // Once all three are on the list, each comes once in three turns.
      let steady = turns.values.dropFirst(allThere).prefix(42)
      for start in stride(from: steady.startIndex, to: steady.endIndex, by: 3) {
        #expect(Set(steady[start..<start + 3]).count == 3)
      }
    }
    for (_, test) in flooding { close(test) }
    close(quiet)
  }

  @Test func `a new client waits for a few of those that have much to do, not for all`() throws {
    let busy = (0..<40).map { _ in socketPair() }
    let busyEnds = busy.map(\.reactor)
    let (end, test) = socketPair()
    let turns = Reports<String>()
    try withReactor({ reactor in
      for end in busyEnds {
        let handler = Handler()
        handler.onReceived = { connection, bytes in
          turns.add("busy")
          Self.useUpTime(of: reactor)
          connection.leave(last: bytes.byteCount - 1)
        }
        handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
      }
      let new = Handler()
      new.onReceived = { _, _ in turns.add("new") }
      return reactor.mailbox { (_: Int) in
        turns.add("came")
        new.connection = reactor.adopt(Descriptor(adopting: end), handler: new)
        new.connection?.readInOwnTurn()
      }
    }) { (mailbox: Mailbox<Int>) in
      for (_, test) in busy { send(Array(Self.pattern.prefix(10_000)), to: test) }
      while turns.values.count < 80 { _ = turns.wait(for: 1) }
      send([1], to: test)
      mailbox.post(1)
      while !turns.values.contains("new") { _ = turns.wait(for: 1) }
      let between = turns.values.drop { $0 != "came" }.prefix { $0 != "new" }
      #expect(between.count < busy.count / 2)
    }
    for (_, test) in busy { close(test) }
    close(test)
  }

  @Test func `a turn that is asked for comes once, and not to a connection that was closed meanwhile`() throws
  {
    final class Asking: ConnectionHandler {
      let turns: Reports<Int>
      let number: Int
      init(_ number: Int, _ turns: Reports<Int>) {
        self.number = number
        self.turns = turns
      }
      func received(_ bytes: inout MutableRawSpan) {}
      func peerFinished() {}
      func drained() {}
      func closed(_ reason: ConnectionEnd) {}
      func goOn() { turns.add(number) }
    }
    let pairs = (0..<2).map { _ in socketPair() }
    let ends = pairs.map(\.reactor)
    let turns = Reports<Int>()
    let done = Reports<Int>()
    try withReactor({ reactor in
      let connections = ends.enumerated().map { number, end in
        reactor.adopt(Descriptor(adopting: end), handler: Asking(number, turns))
      }
      return reactor.mailbox { (step: Int) in
        if step == 1 {
          for connection in connections {
            connection.askForTurn()
            connection.askForTurn()
          }
          connections[0].abort()
          connections[0].askForTurn()
        } else {
          done.add(step)
        }
      }
    }) { (mailbox: Mailbox<Int>) in
      mailbox.post(1)
      #expect(turns.wait(for: 1) == [1])
      mailbox.post(2)
      #expect(done.wait(for: 1) == [2])
      #expect(turns.values == [1])
    }
    for (_, test) in pairs { close(test) }
  }

  @Test(arguments: ["abort", "finish", "detach"])
  func `what was left of a connection that is gone reaches nobody`(_ way: String) throws {
    let (end, test) = socketPair()
    let calls = Reports<Int>()
    let state = Reports<[Int]>()
    try withReactor({ reactor in
      let handler = Handler()
      handler.onReceived = { connection, bytes in
        calls.add(bytes.byteCount)
        connection.leave(last: bytes.byteCount - 1)
        connection.pauseReading()
      }
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
      return reactor.mailbox { (step: Int) in
        guard step == 1, let connection = handler.connection else {
          return state.add([reactor.unreadBytes, reactor.connectionCount])
        }
        // On the list, and gone before its turn; another connection takes its place.
        connection.resumeReading()
        switch way {
        case "abort": connection.abort()
        case "finish": connection.finish(timeout: .seconds(20))
        default: if let descriptor = connection.detach() { close(descriptor.take()) }
        }
        let (new, far) = socketPair()
        let newcomer = Handler()
        newcomer.onReceived = { _, _ in calls.add(-1) }
        newcomer.onClosed = { _ in close(far) }
        newcomer.connection = reactor.adopt(Descriptor(adopting: new), handler: newcomer)
      }
    }) { (mailbox: Mailbox<Int>) in
      send([1, 2, 3], to: test)
      #expect(calls.wait(for: 1) == [3])
      mailbox.post(1)
      if way == "finish" { #expect(receive(1, from: test) == []) }
      mailbox.post(2)
      mailbox.post(3)
      #expect(state.wait(for: 2).last == [0, way == "finish" ? 2 : 1])
      #expect(calls.values == [3])
    }
    close(test)
  }

  @Test
  func `a paused connection gets what it left when it is resumed, and a new handler what the old one left`()
    throws
  {
    let (end, test) = socketPair()
    let received = Reports<[UInt8]>()
    try withReactor({ reactor in
      let old = Handler()
      let new = Handler()
      new.onReceived = { _, bytes in received.add([UInt8](copying: bytes.bytes)) }
      old.onReceived = { connection, bytes in
        received.add([UInt8](copying: bytes.bytes.extracting(0..<2)))
        connection.leave(last: bytes.byteCount - 2)
        connection.pauseReading()
      }
      let connection = reactor.adopt(Descriptor(adopting: end), handler: old)
      (old.connection, new.connection) = (connection, connection)
      return reactor.mailbox { (step: Int) in
        if step == 1 { return received.add([]) }
        connection.handler = new
        connection.resumeReading()
      }
    }) { (mailbox: Mailbox<Int>) in
      send([1, 2, 3, 4], to: test)
      #expect(received.wait(for: 1) == [[1, 2]])
      send([5], to: test)
      mailbox.post(1)
      #expect(received.wait(for: 1) == [[1, 2], []])
      mailbox.post(2)
      #expect(received.wait(for: 2) == [[1, 2], [], [3, 4], [5]])
    }
    close(test)
  }

  @Test func `bytes that somebody else has read come first`() throws {
    let (end, test) = socketPair()
    let received = Reports<[UInt8]>()
    send([3], to: test)
    try withReactor({ reactor in
      let handler = Handler()
      handler.onReceived = { _, bytes in received.add([UInt8](copying: bytes.bytes)) }
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
      handler.connection?.putBack([1, 2])
    }) {
      #expect(received.wait(for: 2) == [[1, 2], [3]])
    }
    close(test)
  }

  @Test func `a peer that is gone is told behind what it had sent, or at once where that waits for a pause`()
    throws
  {
    let pairs = (0..<2).map { _ in socketPair() }
    let ends = pairs.map(\.reactor)
    let seen = Reports<String>()
    try withReactor({ reactor in
      for (number, end) in ends.enumerated() {
        let handler = Handler()
        handler.onReceived = { connection, bytes in
          seen.add("\(number): \(bytes.byteCount)")
          Self.useUpTime(of: reactor)
          connection.leave(last: bytes.byteCount - 1)
          if number == 1 { connection.pauseReading() }
        }
        handler.onFinished = { connection in
          seen.add("\(number): end")
          connection.abort()
        }
        handler.onClosed = { reason in if reason != .local { seen.add("\(number): broken") } }
        handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
      }
    }) {
      send([1, 2, 3, 4, 5], to: pairs[0].test)
      close(pairs[0].test)
      #expect(seen.wait(for: 6) == (1...5).reversed().map { "0: \($0)" } + ["0: end"])
      send([1, 2], to: pairs[1].test)
      #expect(seen.wait(for: 1).last == "1: 2")
      close(pairs[1].test)
      #expect(seen.wait(for: 1).last == "1: broken")
    }
  }

  /// A client that sends bytes and leaves without listening, while each read of it is answered.
  ///
  /// - Parameter leaves: what the handler leaves of so many bytes.
  /// - Returns: how many bytes the handler got in each of its turns.
  private func hear(
    _ sent: [UInt8], leaving leaves: @escaping @Sendable (Reactor, Int) -> Int
  ) throws -> [Int] {
    let (end, test) = socketPair()
    let seen = Reports<Int>()
    let ends = Reports<ConnectionEnd>()
    try withReactor({ reactor in
      let handler = Handler()
      handler.onReceived = { connection, bytes in
        seen.add(bytes.byteCount)
        // Nobody takes it.
        connection.write([1])
        let left = leaves(reactor, bytes.byteCount)
        if left > 0 { connection.leave(last: left) }
      }
      handler.onClosed = { ends.add($0) }
      handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
      return reactor.mailbox { (_: Int) in
        send(sent, to: test)
        close(test)
      }
    }) { mailbox in
      mailbox.post(1)
      #expect(ends.wait(for: 1) == [.failed(EPIPE)])
    }
    return seen.values
  }

  @Test func `a client that says something and leaves without listening is heard to the end`() throws {
    let turns = try hear([1, 2, 3, 4, 5]) { reactor, count in
      Self.useUpTime(of: reactor)
      return count - 1
    }
    #expect(turns == [5, 4, 3, 2, 1])
  }

  @Test func `a client that leaves without listening is heard beyond what is read at once`() throws {
    let count = 3 * Reactor.firstReadSize
    let turns = try hear(Array(repeating: 7, count: count)) { _, _ in 0 }
    #expect(turns.reduce(0, +) == count)
  }

  @Test
  func `what is left unread is counted, those go that left it first, and nobody else is read less at once`()
    throws
  {
    let pairs = (0..<90).map { _ in socketPair() }
    let ends = pairs.map(\.reactor)
    let held = Reports<Int>()
    let gone = Reports<Int>()
    let sums = Reports<Int>()
    let budget = MemoryBudget(total: 8 << 20)
    try withReactor({ reactor in
      let allowance = MemoryAllowance(of: budget, among: 1)
      reactor.boundReading(by: allowance) {
      } relieve: {
        guard let target = allowance.target() else { return }
        for rest in reactor.unreadConnections.sorted(by: { $0.since < $1.since })
        where allowance.used > target {
          rest.connection.abort()
        }
      }
      let handlers = ends.enumerated().map { number, end in
        let handler = Handler()
        handler.onReceived = { connection, bytes in
          connection.leave(last: bytes.byteCount - 1)
          connection.pauseReading()
          held.add(bytes.byteCount)
        }
        handler.onClosed = { _ in gone.add(number) }
        handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
        // As one that has got through all it was sent so far.
        handler.connection?.readSize = UInt32(Reactor.readSize)
        return handler
      }
      return reactor.mailbox { (step: Int) in
        sums.add(allowance.used)
        if step == 1 { for handler in handlers { handler.connection?.abort() } }
        if step == 1 { sums.add(allowance.used) }
      }
    }) { (mailbox: Mailbox<Int>) in
      for (_, test) in pairs {
        // As much as the system takes at once.
        setNonBlocking(test)
        send(Self.pattern + Self.pattern, to: test)
        _ = held.wait(for: 1)
      }
      mailbox.post(0)
      let sum = try #require(sums.wait(for: 1).first)
      #expect(sum <= budget.total)
      #expect(sum > budget.total / 2)
      let first = gone.values
      #expect(first.count > 10 && first == Array(0..<first.count))
      // Also the last ones, as far as what was sent to them was there when they were read.
      #expect(held.values.suffix(20).contains { $0 > 8 * Reactor.smallReadSize })
      mailbox.post(1)
      #expect(sums.wait(for: 2).last == 0)
    }
    for (_, test) in pairs { close(test) }
  }
}

/// Other work of a turn that has an end.
struct TurnTests {
  private static func useProcessor(_ duration: Duration) {
    let start = MonotonicTime.usedByThread
    while MonotonicTime.usedByThread - start < duration {}
  }

  @Test func `a burst of messages that take long lets a timer in, and stays in order`() throws {
    let seen = Reports<Int>()
    try withReactor({ reactor in
      let timer = reactor.timer { seen.add(-1) }
      return reactor.mailbox { (number: Int) in
        if number == 0 { timer.schedule(after: .zero) }
        seen.add(number)
        Self.useProcessor(.microseconds(200))
      }
    }) { mailbox in
      for number in 0..<1000 { mailbox.post(number) }
      let all = seen.wait(for: 1001)
      #expect(all.filter { $0 >= 0 } == Array(0..<1000))
      let position = try #require(all.firstIndex(of: -1))
      #expect(position < 900)
      // What is posted behind those that had to wait is not forgotten.
      mailbox.post(1000)
      #expect(seen.wait(for: 1).last == 1000)
    }
  }

  @Test func `messages posted while others wait for their turn arrive`() throws {
    let seen = Reports<Int>()
    let running = Reports<Bool>()
    try withReactor({ reactor in
      reactor.mailbox { (number: Int) in
        if number == 100 { running.add(true) }
        seen.add(number)
        Self.useProcessor(.microseconds(300))
      }
    }) { mailbox in
      for number in 0..<300 { mailbox.post(number) }
      // In the midst of the first batch, of which the rest waits for the next turn.
      _ = running.wait(for: 1)
      mailbox.post(300)
      #expect(seen.wait(for: 301) == Array(0...300))
    }
  }

  @Test func `hundreds of sessions that end at once let a message in, and each is told once`() throws {
    let pairs = (0..<400).map { _ in socketPair() }
    let ends = pairs.map(\.reactor)
    let seen = Reports<Int>()
    try withReactor({ reactor in
      let handlers = ends.enumerated().map { number, end in
        let handler = Handler()
        handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
        handler.onClosed = { _ in
          seen.add(number)
          Self.useProcessor(.microseconds(200))
        }
        return handler
      }
      let box = reactor.mailbox { (_: Int) in seen.add(-1) }
      return reactor.mailbox { (_: String) in
        for handler in handlers { handler.connection?.abort() }
        box.post(1)
      }
    }) { mailbox in
      mailbox.post("end")
      let all = seen.wait(for: 401)
      #expect(all.filter { $0 >= 0 }.sorted() == Array(0..<400))
      let position = try #require(all.firstIndex(of: -1))
      #expect(position < 390)
    }
    for (_, test) in pairs { close(test) }
  }

  @Test
  func `timers that are due at once are called in order over several turns, and can be cancelled meanwhile`()
  {
    var time = MonotonicTime(nanoseconds: 1_000_000_000)
    let wheel = TimerWheel { time }
    var calls: [Int] = []
    let timers = (0..<1000).map { number in Timer(wheel: wheel) { calls.append(number) } }
    for (number, timer) in timers.enumerated() { timer.schedule(after: .milliseconds(20 * number)) }
    time = time + .seconds(30)
    // The time is over at the second look.
    wheel.advance(to: time, within: TimeLimit(nanoseconds: 0))
    #expect(calls == Array(0..<32))
    #expect(wheel.nextWakeUp == MonotonicTime(nanoseconds: 0))
    timers[40].cancel()
    timers[50].schedule(after: .seconds(1))
    var rounds = 0
    while wheel.nextWakeUp == MonotonicTime(nanoseconds: 0), rounds < 1000 {
      wheel.advance(to: time, within: TimeLimit(nanoseconds: 0))
      rounds += 1
    }
    #expect(calls == (0..<1000).filter { $0 != 40 && $0 != 50 })
    #expect(rounds > 20)
    time = time + .seconds(2)
    wheel.advance(to: time)
    #expect(calls.last == 50)
    #expect(wheel.nextWakeUp == nil)
  }
}
