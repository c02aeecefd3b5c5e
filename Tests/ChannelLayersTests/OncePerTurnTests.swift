import Testing

@testable import ChannelLayers
@testable import Transport

struct OncePerTurnTests {
  @Test func `work is done once at the end of each turn that asked for it`() async throws {
    try await Reactor.withoutThread { reactor in
      var done = 0
      let work = OncePerTurn(on: reactor) { done += 1 }
      let mailbox = reactor.mailbox { (_: Int) in
        work.ask()
        work.ask()
        #expect(done == 0)
      }
      _ = reactor.turnOnce(at: .now)
      #expect(done == 0)
      mailbox.post(1)
      while reactor.turnOnce(at: .now) {}
      #expect(done == 1)
      work.ask()
      while reactor.turnOnce(at: .now) {}
      #expect(done == 2)
    }
  }
}
