import ChannelLayers
import Dispatch
import Synchronization
import Testing
import Transport

@testable import Gateway

struct PublisherTests {
  @Test func `work that nobody waits for any more keeps its place`() async {
    let publisher = Publisher(memory: HTTPMemory(total: 1 << 20))
    var places: [Publisher.Place] = []
    while let place = publisher.enter(.anonymous) { places.append(place) }
    let count = places.count
    #expect(count > 1)
    let (end, ending) = AsyncStream.makeStream(of: Void.self)
    publisher.carryOut(in: places.removeLast()) { for await _ in end {} }
    async let running: Void = publisher.run()
    places = []
    while let place = publisher.enter(.anonymous) { places.append(place) }
    #expect(places.count == count - 1)
    ending.finish()
    publisher.finish()
    await running
    #expect(publisher.enter(.anonymous) != nil)
  }

  @Test
  func
    `what is published waits while a worker has too much to do, and is then refused as nothing that was sent`()
    async throws
  {
    let gate = DispatchSemaphore(value: 0)
    let (thread, mailbox) = try Reactor.start(name: "test") { reactor in
      reactor.boundMail(to: 1000)
      return reactor.mailbox { (_: WorkerMessage) in gate.wait() }
    }
    let refusals = Atomic<Int>(0)
    let publisher = Publisher(memory: HTTPMemory(total: 1 << 20)) { refusals.add($0, ordering: .relaxed) }
    publisher.connect(to: [mailbox])
    var (none, little, much) = (Duration.zero, Duration.milliseconds(1), Duration.seconds(20))
    #expect(await publisher.waitForRoom(within: &none))
    for _ in 0..<2 { mailbox.post(.abandon, weight: 1000) }
    #expect(await !publisher.waitForRoom(within: &little))
    #expect(little == .zero)
    // Several portions, which wait together no longer than one, and of which none is sent behind one that is not.
    let events = (0..<250).map { _ in GroupEvent(Event(type: "a"), to: "room") }
    let outcomes = await publisher.publish(
      events, on: MemoryBackend(alias: "default", history: nil, hasPresence: false))
    #expect(outcomes.map(\.published.undelivered) == Array(repeating: .backlog, count: 250))
    #expect(refusals.load(ordering: .relaxed) == 250)
    for _ in 0..<2 { gate.signal() }
    #expect(await publisher.waitForRoom(within: &much))
    thread.stop()
    thread.join()
  }
}
