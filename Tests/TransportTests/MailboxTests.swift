import Dispatch
import Testing

@testable import Transport

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

  @Test func `a burst of messages wakes the reactor once`() throws {
    let turns = Reports<UInt64>()
    try withReactor({ reactor in
      let second = reactor.mailbox { (_: Int) in turns.add(reactor.counters.turns) }
      return reactor.mailbox { (_: Int) in
        // Posted while the reactor is awake: all of it is one more turn.
        for number in 0..<1000 { second.post(number) }
      }
    }) { mailbox in
      mailbox.post(1)
      #expect(Set(turns.wait(for: 1000)).count == 1)
    }
  }

  @Test func `gathered messages are posted together, in their order, and each is counted`() throws {
    let received = Reports<Int>()
    try withReactor({ reactor in reactor.mailbox { received.add($0) } }) { (mailbox: Mailbox<Int>) in
      var burst = Mailbox<Int>.Burst()
      #expect(burst.isEmpty)
      for number in 1...100 { burst.add(number, weight: 1000) }
      mailbox.post(0)
      #expect(mailbox.post(burst))
      #expect(received.wait(for: 101) == Array(0...100))
    }
    let (thread, mailbox) = try Reactor.start(name: "test") { reactor in reactor.mailbox { (_: Int) in } }
    thread.stop()
    thread.join()
    var burst = Mailbox<Int>.Burst()
    burst.add(1, weight: 1000)
    #expect(!mailbox.post(burst))
    #expect(mailbox.load.used == 0)
  }

  @Test func `closed mailboxes receive nothing, and no turn looks into them`() throws {
    final class Receiver {}
    let seen = Reports<(posted: Bool, mailboxes: Int, isKept: Bool)>()
    try withReactor({ reactor in
      var receiver: Receiver? = Receiver()
      weak let kept = receiver
      let (second, mailboxes) = reactor.mailboxes { [receiver] in
        reactor.mailbox { (_: Int) in withExtendedLifetime(receiver) {} }
      }
      receiver = nil
      return reactor.mailbox { (_: Int) in
        reactor.close(mailboxes)
        seen.add((second.post(1), reactor.mailboxCount, kept != nil))
      }
    }) { mailbox in
      mailbox.post(1)
      mailbox.post(2)
      let last = seen.wait(for: 2)[1]
      #expect(!last.posted && last.mailboxes == 1)
    }
  }

  @Test func `each mailbox has its own receiver`() throws {
    let received = Reports<String>()
    try withReactor({ reactor in
      (reactor.mailbox { (number: Int) in received.add("\(number)") }, reactor.mailbox { received.add($0) })
    }) { (numbers: Mailbox<Int>, words: Mailbox<String>) in
      numbers.post(1)
      words.post("one")
      #expect(received.wait(for: 2).sorted() == ["1", "one"])
    }
  }

  @Test
  func
    `what waits for a blocked reactor is counted over all its mailboxes, and producers go on when there is room`()
    throws
  {
    let gate = Semaphore()
    let entered = Reports<Bool>()
    let goneOn = Reports<Bool>()
    try withReactor({ reactor in
      reactor.boundMail(to: 10_000)
      let blocking = reactor.mailbox { (_: Int) in
        entered.add(true)
        entered.add(gate.wait())
      }
      return (blocking, reactor.mailbox { (_: Int) in })
    }) { (blocking: Mailbox<Int>, other: Mailbox<Int>) in
      blocking.post(0)
      _ = entered.wait(for: 1)
      var count = 0
      while !other.load.isOver, count < 100 {
        other.post(count, weight: 1000)
        count += 1
      }
      #expect(count == 9)
      #expect(blocking.load.isOver && blocking.load.used > 9000)
      // It is never refused: an answer may be waited for.
      #expect(other.post(count, weight: 1000))
      for _ in 0..<2 { other.load.whenRoom { goneOn.add(other.load.isOver) } }
      #expect(goneOn.values == [])
      gate.signal()
      #expect(goneOn.wait(for: 2) == [false, false])
      other.load.whenRoom { goneOn.add(true) }
      #expect(goneOn.wait(for: 1).count == 3)
    }
    #expect(entered.values == [true, true])
  }

  @Test func `those who only look before they post do not keep those waiting who wait`() async throws {
    let gate = DispatchSemaphore(value: 0)
    let goneOn = Reports<Int>()
    let (thread, mailbox) = try Reactor.start(name: "test") { reactor in
      reactor.boundMail(to: 1_000_000)
      return reactor.mailbox { (_: Int) in gate.wait() }
    }
    while !mailbox.load.isOver { mailbox.post(0, weight: 100_000) }
    #expect(await !mailbox.load.room(within: .milliseconds(1)))
    // Who has given up is forgotten.
    #expect(mailbox.load.waiterCount == 0)
    mailbox.load.whenRoom { goneOn.add(mailbox.load.used) }
    // Received are some, and as many could be posted again; but nobody does before half is received.
    for _ in 0..<3 {
      gate.signal()
      #expect(mailbox.load.isOver)
      if !mailbox.load.isOver { mailbox.post(0, weight: 100_000) }
    }
    for _ in 0..<7 { gate.signal() }
    #expect(try #require(goneOn.wait(for: 1).first) <= 500_000)
    #expect(!mailbox.load.isOver)
    thread.stop()
    thread.join()
  }

  @Test func `who waits for room goes on when the reactor ends with much unread`() throws {
    let gate = Semaphore()
    let goneOn = Reports<Int>()
    let (thread, mailbox) = try Reactor.start(name: "test") { reactor in
      reactor.boundMail(to: 1000)
      return reactor.mailbox { (_: Int) in _ = gate.wait() }
    }
    for number in 0..<10 { mailbox.post(number, weight: 1000) }
    mailbox.load.whenRoom { goneOn.add(mailbox.load.used) }
    thread.stop()
    for _ in 0..<10 { gate.signal() }
    thread.join()
    #expect(goneOn.wait(for: 1).count == 1)
    #expect(mailbox.load.used == 0)
    #expect(!mailbox.post(1, weight: 5000) && !mailbox.load.isOver)
  }
}
