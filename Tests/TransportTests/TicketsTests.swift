import Testing

@testable import Transport

struct TicketsTests {
  @Test func `an answer reaches who asked, once, and nobody who has forgotten the question`() {
    var tickets = Tickets<String>()
    var heard: [String] = []
    let first = tickets.issue { heard.append("first \($0)") }
    let second = tickets.issue { heard.append("second \($0)") }
    let third = tickets.issue { heard.append("third \($0)") }
    #expect(Set([first, second, third]).count == 3)
    tickets.forget(second)
    for ticket in [third, second, first, third] { tickets.redeem(ticket)?("a") }
    #expect(heard == ["third a", "first a"])
    // A number is never used again, so that a late answer is nobody else's.
    #expect(tickets.issue { _ in } > third)
  }
}
