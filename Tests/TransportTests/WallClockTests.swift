import Testing

@testable import Transport

struct WallClockTests {
  @Test func `a timestamp is a date and a time of UTC with milliseconds`() throws {
    let text = WallClock.timestamp()
    let shape = String(text.map { $0.isNumber ? "0" : $0 })
    #expect(shape == "0000-00-00T00:00:00.000Z")
  }
}
