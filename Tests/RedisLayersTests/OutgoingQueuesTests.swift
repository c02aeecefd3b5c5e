import ChannelLayers
import Testing

@testable import RedisLayers

struct OutgoingQueuesTests {
  private var queues = OutgoingQueues(
    limits: .init(waiting: 4, waitingBytes: 100, offered: 3, offeredBytes: 20))
  private let start = ContinuousClock.now

  private func message(_ byte: UInt8, _ size: Int = 1) -> OutgoingQueues.Message {
    OutgoingQueues.Message(
      bytes: [UInt8](repeating: byte, count: size), score: 1, group: "g",
      receipt: Receipt(.session(reactor: 0, member: MemberNumber(slot: 0, serial: 1))),
      deadline: start + OutgoingQueues.patience)
  }

  private mutating func add(_ bytes: [UInt8], to key: String = "q", size: Int = 1) -> [Bool] {
    bytes.map { queues.add(message($0, size), to: key, shard: 0, capacity: 10) }
  }

  private func offered(_ keys: [String] = ["q"]) -> [[UInt8]] {
    queues.offers(keys).map { $0.messages.map { $0.bytes[0] } }
  }

  @Test mutating func `messages are offered in order, and those taken are gone`() {
    #expect(add([1, 2, 3, 4]) == [true, true, true, true])
    #expect(offered() == [[1, 2, 3]])
    #expect(queues.took(3, of: queues.offers(["q"])[0], at: start).isEmpty)
    #expect(offered() == [[4]])
    #expect(queues.took(1, of: queues.offers(["q"])[0], at: start).isEmpty)
    #expect(queues.queues.isEmpty && queues.waitingBytes == 0 && queues.nextTry == nil)
  }

  @Test mutating func `only so many wait for a queue`() {
    #expect(add([1, 2, 3, 4, 5]) == [true, true, true, true, false])
    #expect(add([6], to: "other") == [true])
  }

  @Test mutating func `only so many bytes wait for all queues together`() {
    #expect(add([1, 2], size: 40) == [true, true])
    #expect(add([3], to: "other", size: 40) == [false])
    #expect(add([4], to: "other", size: 20) == [true])
    #expect(queues.waitingBytes == 100)
    #expect(queues.drop(1, of: "q").map { $0.bytes[0] } == [1])
    #expect(queues.waitingBytes == 60)
    #expect(add([5], to: "other", size: 40) == [true])
  }

  @Test mutating func `an offer is as large as one command may be, and a longer message is offered alone`() {
    _ = add([1, 2, 3], size: 9)
    _ = add([4], to: "other", size: 9)
    #expect(offered(["q", "other"]) == [[1, 2]])
    _ = queues.drop(of: "q")
    _ = add([5], size: 30)
    #expect(offered(["q", "other"]) == [[5]])
    #expect(offered(["other", "q"]) == [[4]])
  }

  @Test mutating func `a full queue is tried again after a pause that gets longer, up to a limit`() {
    _ = add([1])
    var now = start
    var pauses: [Duration] = []
    for _ in 0..<7 {
      #expect(queues.took(0, of: queues.offers(["q"])[0], at: now).isEmpty)
      #expect(queues.ready(0, at: now) == [])
      let next = queues.nextTry ?? now
      pauses.append(next - now)
      now = next
      #expect(queues.ready(0, at: now) == ["q"] && queues.ready(1, at: now) == [])
    }
    #expect(pauses == [2, 4, 8, 16, 32, 50, 50].map { .milliseconds($0) })
  }

  @Test mutating func `what has waited too long is given up, and then nothing waits until there is room`() {
    _ = add([1, 2])
    let late = start + OutgoingQueues.patience
    #expect(queues.took(0, of: queues.offers(["q"])[0], at: late).map { $0.bytes[0] } == [1, 2])
    #expect(queues.waitingBytes == 0)
    _ = add([3, 4])
    #expect(queues.took(0, of: queues.offers(["q"])[0], at: start).map { $0.bytes[0] } == [3, 4])
    _ = add([5, 6])
    #expect(queues.took(1, of: queues.offers(["q"])[0], at: start).isEmpty)
    #expect(offered() == [[6]])
    #expect(queues.took(0, of: queues.offers(["q"])[0], at: start).isEmpty)
  }

  @Test mutating func `a stalled queue that gets nothing is forgotten`() {
    _ = add([1])
    _ = queues.took(0, of: queues.offers(["q"])[0], at: start + .seconds(2))
    #expect(queues.queues["q"]?.isStalled == true)
    queues.forgetEmpty()
    #expect(queues.queues.isEmpty)
  }
}

extension OutgoingQueues.Limits {
  fileprivate init(waiting: Int, waitingBytes: Int, offered: Int, offeredBytes: Int) {
    self.init()
    self.waiting = waiting
    self.waitingBytes = waitingBytes
    self.offered = offered
    self.offeredBytes = offeredBytes
  }
}
