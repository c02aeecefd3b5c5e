import Testing

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
}
