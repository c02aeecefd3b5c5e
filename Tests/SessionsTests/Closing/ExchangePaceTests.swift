import Testing

@testable import GatewayConfig
@testable import Sessions

struct ExchangePaceTests {
  /// How many of so many clients on each reactor are closed at each tick.
  private func ticks(_ clients: Int, on reactors: Int, handshakes: Rate? = nil) -> [Int] {
    var ticks: [Int] = []
    for reactor in 0..<reactors {
      var pace = ExchangePace(reactor: reactor, of: reactors, handshakes: handshakes)
      pace.begin(with: clients)
      var left = clients
      var tick = 0
      while left > 0 {
        let closed = min(pace.next(), left)
        left -= closed
        if tick == ticks.count { ticks.append(0) }
        ticks[tick] += closed
        tick += 1
      }
    }
    return ticks
  }

  @Test(arguments: [1, 2, 16, 32, 100])
  func `the process closes 500 in a second, however many reactors it has`(
    reactors: Int
  ) {
    let ticks = ticks(960 / reactors, on: reactors)
    #expect(ticks.reduce(0, +) == 960 / reactors * reactors)
    #expect(ticks.allSatisfy { (0...26).contains($0) })
    #expect((36...42).contains(ticks.count))
  }

  @Test func `a lot of them take four seconds`() {
    #expect((80...81).contains(ticks(10_000, on: 4).count))
    #expect((80...81).contains(ticks(501, on: 4).count))
  }

  @Test func `a few come back no faster than the handshakes that are allowed`() throws {
    let rate = Rate(count: 20, period: .seconds(1), burst: 20)
    // 15 in a second.
    #expect((20...28).contains(ticks(9, on: 2, handshakes: rate).count))
  }

  @Test func `those that come later do not slow down the others`() {
    var pace = ExchangePace(reactor: 0, of: 1, handshakes: nil)
    pace.begin(with: 80_000)
    pace.begin(with: 1)
    #expect((1000...1001).contains(pace.next()))
  }
}
