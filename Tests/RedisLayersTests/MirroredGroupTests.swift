import JSON
import Testing
import Transport

@testable import ChannelLayers
@testable import GatewayConfig
@testable import RedisLayers

struct MirroredGroupTests {
  private let start = MonotonicTime(nanoseconds: 1_000_000_000_000)

  private func group() -> MirroredGroup {
    let copy = RecordedGroup(
      "g", HistoryConfiguration(messages: 100, age: .seconds(600)), memory: HistoryMemory(), at: start)
    copy.restart(behind: EventPosition(epoch: 7, offset: 0))
    return MirroredGroup(copy, shard: 0)
  }

  private func event(_ text: String) -> Event {
    Event(type: "chat.message", fields: [.init("message", .json(.string(text)))])
  }

  @Test func `who takes over records what was heard and is not recorded, as often as it was heard`() {
    let group = group()
    for text in ["a", "b", "a", "c"] { group.hear(event(text), at: start + .seconds(1)) }
    let recorded: [(String, isForeign: Bool)] = [("a", true), ("c", false), ("b", true)]
    for (index, (text, isForeign)) in recorded.enumerated() {
      #expect(
        group.copy.insert(
          event(text), at: EventPosition(epoch: 7, offset: UInt64(index + 1)), time: start + .seconds(1),
          stamp: RecordedGroup.newStamp(isForeign: isForeign)) == .inserted)
    }
    // The "c" that is recorded is one of a session's.
    #expect(group.takeUnrecorded(at: start + .seconds(3)) == [event("a"), event("c")])
    #expect(group.takeUnrecorded(at: start + .seconds(3)) == [])
  }

  private func event(_ text: String, mark: EventValue) -> Event {
    Event(type: "chat.message", fields: [.init("message", .json(.string(text))), .init("sluice.id", mark)])
  }

  @Test
  func `an event with a mark of this history, present or earlier, is recorded already, and any other is not`()
  {
    let group = group()
    group.copy.restart(behind: EventPosition(epoch: 8, offset: 0))
    let time = start + .seconds(1)
    for (text, mark) in [("a", "8.1"), ("b", "7.5"), ("c", "9.1"), ("d", "zz"), ("d", "9.2")] {
      group.hear(event(text, mark: .json(.string(mark))), at: time)
    }
    group.hear(event("e", mark: .json(.integer(8))), at: time)
    group.hear(event("f", mark: .text(Array("8.2".utf8))), at: time)
    #expect(
      group.copy.insert(
        event("d"), at: EventPosition(epoch: 8, offset: 1), time: time,
        stamp: RecordedGroup.newStamp(isForeign: true)) == .inserted)
    #expect(group.takeUnrecorded(at: time) == [event("c"), event("d"), event("e")])
  }

  @Test func `a copy remembers a few of the epochs that its history had`() {
    let copy = group().copy
    for epoch: UInt32 in 10..<30 { copy.restart(behind: EventPosition(epoch: epoch, offset: 0)) }
    #expect((UInt32(10)..<40).filter { copy.hasHad(epoch: $0) } == Array(21..<30))
    copy.restart(behind: EventPosition(epoch: 29, offset: 5))
    #expect(copy.hasHad(epoch: 21))
  }

  @Test func `what was heard long ago is somebody else's matter`() {
    let group = group()
    group.hear(event("old"), at: start)
    group.hear(event("new"), at: start + .seconds(10))
    #expect(group.takeUnrecorded(at: start + .seconds(13)) == [event("new")])
    for number in 0..<3000 { group.hear(event("\(number)"), at: start) }
    #expect(group.heard.count == 2000)
  }

  @Test func `of long events that are heard no more is kept than some megabytes`() {
    let group = group()
    let text = String(repeating: "a", count: 1 << 20)
    for number in 0..<10 { group.hear(event("\(number)\(text)"), at: start) }
    #expect(group.takeUnrecorded(at: start) == (7..<10).map { event("\($0)\(text)") })
    group.hear(event(text), at: start)
    #expect(group.heard.count == 1)
    group.forgetHeard(at: start + MirroredGroup.memory)
    #expect(group.heard.isEmpty)
  }

  @Test func `announcements that do not fit are left to another load`() {
    let group = group()
    func arrive(_ count: Int, size: Int) {
      for number in 0..<count {
        group.arrive(
          .init(
            position: EventPosition(epoch: 7, offset: UInt64(number)), stamp: 1,
            payload: Array(repeating: 0, count: size)))
      }
    }
    arrive(1999, size: 10)
    #expect(!group.mustLoadAgain && group.takeArrived().count == 1999)
    arrive(2001, size: 10)
    #expect(group.mustLoadAgain)
    group.mustLoadAgain = false
    _ = group.takeArrived()
    arrive(5, size: 1 << 20)
    #expect(group.mustLoadAgain && group.takeArrived().count < 4)
  }
}
