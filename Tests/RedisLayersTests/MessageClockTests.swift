import Testing

@testable import RedisLayers

struct MessageClockTests {
  @Test func `no two times are the same, and each is later than the one before`() {
    var clock = MessageClock()
    let times = (0..<10_000).map { _ in clock.next() }
    #expect(zip(times, times.dropFirst()).allSatisfy { $0 < $1 })
    #expect(abs(times[0] - MessageClock.now()) < 60)
  }

  @Test(arguments: [0, 1, 7, 8, 12, 255])
  func `a prefix has the length that is asked for`(_ length: Int) {
    var clock = MessageClock()
    #expect(clock.uniquePrefix(length).count == length)
  }

  @Test func `prefixes order messages of one instant`() {
    var clock = MessageClock()
    let prefixes = (0..<1000).map { _ in clock.uniquePrefix(12) }
    #expect(zip(prefixes, prefixes.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) })
  }
}
