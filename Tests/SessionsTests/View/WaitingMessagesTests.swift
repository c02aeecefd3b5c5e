import Testing

@testable import Sessions

struct WaitingMessagesTests {
  private func waiting(_ numbers: ClosedRange<UInt64>) -> WaitingMessages {
    var waiting = WaitingMessages()
    for number in numbers { waiting.append(.init(number: number, payload: .text([1]))) }
    return waiting
  }

  private func numbers(_ waiting: inout WaitingMessages, _ batch: Int) -> [UInt64] {
    waiting.take(batch).map(\.number)
  }

  @Test func `they are taken in their order`() {
    var waiting = waiting(1...5)
    #expect(numbers(&waiting, 2) == [1, 2] && numbers(&waiting, 2) == [3, 4])
    #expect(!waiting.isEmpty && waiting.bytes == 65)
    #expect(numbers(&waiting, 2) == [5] && waiting.isEmpty && waiting.bytes == 0)
    #expect(numbers(&waiting, 2) == [])
  }

  @Test func `those that were not handled come first again, in their order`() {
    var waiting = waiting(1...6)
    let (first, second) = (waiting.take(2), waiting.take(2))
    waiting.putBack(second[...])
    waiting.putBack(first[1...])
    #expect(numbers(&waiting, 9) == [2, 3, 4, 5, 6] && waiting.bytes == 0)
    // Without an order the later one may fail last.
    waiting.putBack(first[...])
    waiting.putBack(second[...])
    #expect(numbers(&waiting, 9) == [1, 2, 3, 4])
  }

  @Test func `the last ones are dropped where there are too many`() {
    var waiting = waiting(1...5)
    #expect(waiting.keep(first: 5) == 0 && waiting.keep(first: 2) == 3)
    #expect(waiting.count == 2 && waiting.bytes == 130)
    #expect(numbers(&waiting, 9) == [1, 2] && waiting.bytes == 0)
  }

  @Test(.timeLimit(.minutes(1)))
  func `a long backlog is not copied for each question`() {
    var waiting = waiting(1...200_000)
    var last: UInt64 = 0
    while !waiting.isEmpty {
      let taken = waiting.take(2)
      waiting.putBack(taken[1...])
      last = taken[0].number
    }
    #expect(last == 200_000)
  }
}
