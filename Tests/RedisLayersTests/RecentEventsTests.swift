import ChannelLayers
import Testing

@testable import RedisLayers

extension Sender {
  fileprivate var slot: UInt32? {
    if case .session(_, let member) = self { member.slot } else { nil }
  }
}

struct RecentEventsTests {
  private let start = ContinuousClock.now

  private func sender(_ number: UInt32) -> Sender {
    .session(reactor: 0, member: MemberNumber(slot: number, serial: 1))
  }

  @Test func `those of the last second are remembered, and taken once`() {
    var recent = RecentEvents()
    for number in 0..<3000 {
      recent.add(Receipt(sender(UInt32(number))), at: start + .milliseconds(number))
    }
    let taken = recent.takeAll(at: start + .milliseconds(3000)).compactMap { $0.takeSender()?.slot }
    #expect(taken == Array(2000..<3000))
    #expect(recent.takeAll(at: start + .milliseconds(3000)).isEmpty)
  }

  @Test func `not more than a limit are remembered`() {
    var recent = RecentEvents()
    for number in 0..<70_000 { recent.add(Receipt(sender(UInt32(number))), at: start) }
    let taken = recent.takeAll(at: start).compactMap { $0.takeSender()?.slot }
    #expect(taken == Array((70_000 - 65_536)..<70_000))
  }

  @Test func `a sender is told once, whatever becomes of the messages of an event`() {
    let receipt = Receipt(sender(7))
    #expect(receipt.takeSender() == sender(7))
    #expect(receipt.takeSender() == nil)
  }

  @Test func `whoever waits is told when Redis has taken the last of the messages`() {
    let receipt = Receipt(.outside(reactor: 1, ticket: 5))
    for _ in 0..<3 { receipt.expect() }
    #expect((0..<3).map { _ in receipt.taken() } == [false, false, true])
    #expect(receipt.isAwaited)
    #expect(!Receipt(sender(1)).isAwaited)
  }
}
