import Testing
import Transport

@testable import Sessions

struct FairQueueTests {
  private func order(_ entries: [(Int, String)], without: [Int] = []) -> [Int] {
    var queue = FairQueue<Int>()
    for (id, asker) in entries { queue.append(id, of: asker) }
    for id in without {
      let wasWaiting = queue.remove(id)
      #expect(wasWaiting)
    }
    var order: [Int] = []
    while let id = queue.popFirst() { order.append(id) }
    return order
  }

  @Test func `askers take turns`() {
    #expect(order([(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "c"), (6, "c")]) == [1, 4, 5, 2, 6, 3])
  }

  @Test func `who does not wait any more is passed over`() {
    #expect(order([(1, "a"), (2, "a"), (3, "b")], without: [1]) == [2, 3])
    #expect(order([(1, "a"), (2, "b")], without: [1, 2]) == [])
  }

  @Test func `who comes and goes has one turn, and takes no memory`() {
    var queue = FairQueue<Int>()
    queue.append(-1, of: "first")
    for id in 0..<10_000 {
      queue.append(id, of: "again")
      queue.remove(id)
    }
    for id in 0..<10_000 {
      queue.append(id, of: "\(id)")
      queue.remove(id)
    }
    queue.append(10_000, of: "again")
    queue.append(10_001, of: "again")
    queue.append(10_002, of: "other")
    #expect(queue.count == 4)
    let order = (0..<4).map { _ in queue.popFirst() }
    #expect(order == [-1, 10_000, 10_002, 10_001])
    #expect(queue.popFirst() == nil && queue.isEmpty)
  }
}

struct ViewQueueTests {
  private typealias Queue = ViewQueue

  private let start = MonotonicTime(nanoseconds: 1_000_000_000_000)

  private func entry(
    _ ticket: Int, _ lane: ViewTerms.Lane = .clients, of asker: String = "a", isRefusable: Bool = false
  ) -> Queue.Entry {
    Queue.Entry(
      id: .init(worker: ticket / 100, ticket: ticket), lane: lane, asker: asker, isRefusable: isRefusable)
  }

  private func tickets(_ calls: [Queue.Call]) -> [Int] { calls.map(\.id.ticket) }

  @Test func `no more are under way than may be, and the next follows the end of one`() {
    var queue = Queue(most: 2)
    let verdicts = (1...4).map { queue.enter(entry($0), at: start) }
    #expect(verdicts == [.go, .go, .waits, .waits])
    #expect(queue.calls(at: start) == [])
    #expect(queue.leave(.clients, .answered, at: start) == nil)
    #expect(tickets(queue.calls(at: start)) == [3])
    #expect(queue.underWay == 2)
  }

  @Test func `users and workers are served in turn`() {
    var queue = Queue(most: 1)
    _ = queue.enter(entry(1, of: "a"), at: start)
    for ticket in [2, 3, 4] { _ = queue.enter(entry(ticket, of: "a"), at: start) }
    for ticket in [105, 206] { _ = queue.enter(entry(ticket, of: "user \(ticket)"), at: start) }
    var order: [Int] = []
    while queue.waiting > 0 {
      _ = queue.leave(.clients, .answered, at: start)
      order += tickets(queue.calls(at: start))
    }
    #expect(order == [2, 105, 206, 3, 4])
  }

  @Test func `one that is forgotten is not called`() {
    var queue = Queue(most: 1)
    for ticket in 1...3 { _ = queue.enter(entry(ticket), at: start) }
    let forgotten = [queue.forget(entry(2).id), queue.forget(entry(2).id)]
    #expect(forgotten == [true, false])
    _ = queue.leave(.clients, .answered, at: start)
    #expect(tickets(queue.calls(at: start)) == [3])
  }

  @Test func `reports come behind clients, in a quarter of the places, but are not starved`() {
    var queue = Queue(most: 4)
    for ticket in 1...4 { #expect(queue.enter(entry(ticket), at: start) == .go) }
    for ticket in 11...14 { #expect(queue.enter(entry(ticket, .reports), at: start) == .waits) }
    for ticket in 21...40 { #expect(queue.enter(entry(ticket), at: start) == .waits) }
    var order: [Int] = []
    for _ in 0..<20 {
      _ = queue.leave(.clients, .answered, at: start)
      order += tickets(queue.calls(at: start))
    }
    // One of four places, which it does not leave.
    #expect(order.filter { $0 < 20 } == [11])
    #expect(queue.leave(.reports, .answered, at: start) == nil)
  }

  @Test func `reports without clients leave one place`() {
    var queue = Queue(most: 4)
    let verdicts = (1...4).map { queue.enter(entry($0, .reports), at: start) }
    #expect(verdicts == [.go, .go, .go, .waits])
    #expect(queue.enter(entry(5), at: start) == .go)
    _ = queue.leave(.clients, .answered, at: start)
    _ = queue.leave(.reports, .answered, at: start)
    #expect(tickets(queue.calls(at: start)) == [4])
  }

  @Test func `after five failures in a row one a second is asked until an answer comes`() {
    var queue = Queue(most: 8)
    for ticket in 1...5 { _ = queue.enter(entry(ticket), at: start) }
    let changes = (1...5).map { _ in queue.leave(.clients, .failed, at: start) }
    #expect(changes == [.firstFailure, nil, nil, nil, .opened(failures: 5)])
    #expect(queue.enter(entry(6), at: start) == .waits)
    #expect(queue.enter(entry(7), at: start) == .waits)
    #expect(queue.calls(at: start) == [])
    #expect(queue.nextCall(at: start) == start + .seconds(1))
    let later = start + .seconds(1)
    #expect(tickets(queue.calls(at: later)) == [6])
    // It is under way, so that no time is worth waiting for.
    #expect(queue.nextCall(at: later + .seconds(5)) == nil)
    #expect(queue.leave(entry(6).id, .clients, .failed, at: later + .seconds(5)) == nil)
    #expect(tickets(queue.calls(at: later + .seconds(5))) == [7])
    for ticket in 8...10 { _ = queue.enter(entry(ticket), at: later + .seconds(5)) }
    #expect(
      queue.leave(.clients, .answered, at: later + .seconds(6)) == .closed(after: .seconds(7)))
    #expect(tickets(queue.calls(at: later + .seconds(6))) == [8, 9, 10])
  }

  @Test func `a client that connects does not wait for a view that is away`() {
    var queue = Queue(most: 1)
    _ = queue.enter(entry(1), at: start)
    _ = queue.enter(entry(2, isRefusable: true), at: start)
    for round in 1...5 {
      _ = queue.leave(.clients, .failed, at: start)
      let calls = queue.calls(at: start)
      if round == 1 { #expect(calls.map(\.verdict) == [.go]) }
      if round < 5 { _ = queue.enter(entry(10 + round), at: start) }
      if round == 4 { _ = queue.enter(entry(30, isRefusable: true), at: start) }
      if round == 5 {
        #expect(calls == [.init(id: entry(30).id, lane: .clients, verdict: .viewIsAway)])
      }
    }
    #expect(queue.enter(entry(40, isRefusable: true), at: start) == .viewIsAway)
    // One of them asks whether the view is back.
    #expect(queue.enter(entry(41, isRefusable: true), at: start + .seconds(1)) == .go)
    #expect(queue.enter(entry(42, isRefusable: true), at: start + .seconds(1)) == .viewIsAway)
    #expect(queue.leave(.clients, .answered, at: start + .seconds(1)) == .closed(after: .seconds(1)))
  }

  @Test func `any number can wait for a slow view`() {
    var queue = Queue(most: 1)
    _ = queue.enter(entry(0), at: start)
    let verdicts = (1...20_000).map { queue.enter(entry($0, of: "\($0)"), at: start) }
    #expect(verdicts.allSatisfy { $0 == .waits })
    _ = queue.leave(entry(0).id, .clients, .answered, at: start)
    #expect(tickets(queue.calls(at: start)) == [1])
  }

  @Test func `a client comes in after as many turns as others came before it`() {
    var queue = Queue(most: 1)
    // One address, nobody logged in: all of them share one turn.
    for ticket in 0...1000 { _ = queue.enter(entry(ticket), at: start) }
    for ticket in 2001...2003 {
      var coming = entry(ticket)
      coming.isComing = true
      #expect(queue.enter(coming, at: start) == .waits)
    }
    var (order, last) = ([Int](), 0)
    for _ in 1...8 {
      _ = queue.leave(entry(last).id, .clients, .answered, at: start)
      let called = tickets(queue.calls(at: start))
      order += called
      // Those inside have something to say again at once.
      last = called[0]
      if last < 2000 { _ = queue.enter(entry(last + 5000), at: start) }
    }
    #expect(order == [2001, 1, 2002, 2, 2003, 3, 4, 5])
  }

  @Test(arguments: [Queue.Ending.failed, .unasked])
  func `a straggler says nothing of the question that tells whether the view is back`(
    _ ending: ViewQueue.Ending
  ) {
    var queue = Queue(most: 8)
    for ticket in 1...6 { _ = queue.enter(entry(ticket), at: start) }
    for ticket in 1...5 { _ = queue.leave(entry(ticket).id, .clients, .failed, at: start) }
    let later = start + .seconds(1)
    #expect(queue.enter(entry(7), at: later) == .go)
    #expect(queue.enter(entry(8), at: later) == .waits)
    _ = queue.leave(entry(6).id, .clients, ending, at: later)
    #expect(queue.calls(at: later + .seconds(3)) == [])
    _ = queue.leave(entry(7).id, .clients, .failed, at: later + .seconds(3))
    #expect(tickets(queue.calls(at: later + .seconds(3))) == [8])
  }

  @Test func `one that was called and not sent says nothing of the view`() {
    var queue = Queue(most: 1)
    for _ in 1...5 {
      _ = queue.enter(entry(1), at: start)
      _ = queue.leave(.clients, .failed, at: start)
    }
    #expect(queue.enter(entry(2), at: start + .seconds(1)) == .go)
    #expect(queue.leave(entry(2).id, .clients, .unasked, at: start + .seconds(1)) == nil)
    #expect(queue.openSince != nil && queue.underWay == 0)
  }
}

extension ViewQueue {
  /// One ends of which it does not matter which one it is.
  fileprivate mutating func leave(
    _ lane: ViewTerms.Lane, _ ending: Ending, at now: MonotonicTime
  ) -> ViewCircuit.Change? {
    leave(ID(worker: -1, ticket: -1), lane, ending, at: now)
  }
}
