import Testing

@testable import Transport

struct TickerTests {
  @Test func `it posts until it is stopped`() throws {
    let reports = Reports<Int>()
    try withReactor { reactor in
      reactor.mailbox { (number: Int) in reports.add(number) }
    } _: { mailbox in
      let ticker = try Ticker.start(every: .milliseconds(1), to: mailbox, 7)
      #expect(reports.wait(for: 5).prefix(5) == [7, 7, 7, 7, 7])
      ticker.stop()
      ticker.join()
    }
  }

  @Test func `it ends with the reactor`() throws {
    let (thread, mailbox) = try Reactor.start(name: "test") { reactor in reactor.mailbox { (_: Int) in } }
    let ticker = try Ticker.start(every: .milliseconds(1), to: mailbox, 0)
    thread.stop()
    thread.join()
    ticker.join()
  }
}
