import ChannelLayers
import Testing

@testable import RedisLayers

private struct Sized: SizedRequest, Equatable {
  var size: Int
}

struct RedisRequestsTests {
  @Test func `only so many wait`() {
    let requests = RedisRequests<Sized>(limit: 2, byteLimit: .max)
    #expect([1, 2, 3].map { requests.add(Sized(size: $0)) } == [true, true, false])
    #expect(requests.take(atMost: 1) == [Sized(size: 1)])
    #expect(requests.add(Sized(size: 4)))
    #expect(requests.take(atMost: 10) == [Sized(size: 2), Sized(size: 4)])
  }

  @Test func `only so much waits, but one does however large it is`() {
    let requests = RedisRequests<Sized>(limit: .max, byteLimit: 10)
    #expect(requests.add(Sized(size: 11)))
    #expect(!requests.add(Sized(size: 1)))
    #expect(requests.take(atMost: 1).count == 1)
    #expect([4, 6, 1].map { requests.add(Sized(size: $0)) } == [true, true, false])
  }

  @Test func `what is taken together has a limit too`() {
    let requests = RedisRequests<Sized>(limit: .max, byteLimit: .max)
    for size in [20, 3, 4, 5] { _ = requests.add(Sized(size: size)) }
    #expect(requests.take(atMost: 10, bytes: 10) == [Sized(size: 20)])
    #expect(requests.take(atMost: 10, bytes: 10) == [Sized(size: 3), Sized(size: 4)])
    #expect(requests.take(atMost: 10, bytes: 10) == [Sized(size: 5)])
    #expect(requests.take(atMost: 10, bytes: 10) == [])
  }

  @Test func `however much arrives, it is told of once`() async {
    let requests = RedisRequests<Sized>(limit: .max, byteLimit: .max)
    for size in 1...3 { _ = requests.add(Sized(size: size)) }
    requests.finish()
    var arrivals = 0
    for await _ in requests.arrivals { arrivals += 1 }
    #expect(arrivals == 1)
  }

  @Test func `what is added for later is told of when its sender says so`() async {
    let requests = RedisRequests<Sized>(limit: 3, byteLimit: .max)
    #expect((1...4).map { requests.add(Sized(size: $0), waking: .later) } == [true, true, true, false])
    requests.wake()
    for await _ in requests.arrivals { break }
    #expect(requests.take(atMost: 10).count == 3)
    #expect(requests.add(Sized(size: 1), waking: .later))
    requests.finish()
    for await _ in requests.arrivals { Issue.record("nobody has woken it") }
  }

  @Test func `an event is about as large as what it carries`() {
    let sender = Sender.session(reactor: 0, member: MemberNumber(slot: 0, serial: 1))
    let event = Event(type: "t", fields: [.init("text", .text([UInt8](repeating: 97, count: 60_000)))])
    #expect((60_000..<61_000).contains(OutgoingEvent(event: event, group: "g", sender: sender).size))
  }
}
