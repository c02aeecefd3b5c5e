import Testing

@testable import RedisLayers

struct LotReadingTests {
  private var reading = LotReading(.init(name: "l", kind: "k", lastSign: 1))

  private mutating func read(_ addresses: [String], next: String) -> [String] {
    reading.read(addresses.map { ($0, []) }, next: next).map(\.address)
  }

  @Test mutating func `what was begun comes first, and each record once`() {
    #expect(reading.part == .begun)
    #expect(read(["a"], next: "0") == ["a"])
    #expect(reading.part == .records && !reading.isAtEnd)
    #expect(read(["b", "c"], next: "7") == ["b", "c"])
    #expect(reading.cursor == "7")
    #expect(read(["b", "d"], next: "0") == ["d"])
    #expect(reading.isAtEnd && !reading.isDealtWith)
    for address in ["a", "b", "c", "d"] { reading.dealtWith(address) }
    #expect(reading.isDealtWith)
    reading.startAgain()
    #expect(reading.part == .begun && reading.cursor == "0" && !reading.isDealtWith)
  }
}
