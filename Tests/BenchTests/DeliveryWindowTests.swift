import Testing
import Transport

@testable import Bench

/// What a window of so many members reports after each step.
private func reports(
  members: Int, size: Int, _ steps: [@Sendable (DeliveryWindow) -> Void]
) throws -> [Int] {
  let (thread, found) = try Reactor.start(name: "test") { reactor in
    var completed: [Int] = []
    let window = DeliveryWindow(members: members, publishers: 1, size: size, on: reactor) { counts in
      completed.append(counts[0])
    }
    for step in steps {
      step(window)
      window.endOfTurn()
    }
    return completed
  }
  thread.stop()
  thread.join()
  return found
}

/// One subscriber gets a message, and would have had `next` next.
private func gets(_ sequence: UInt32, next: UInt32? = nil) -> @Sendable (DeliveryWindow) -> Void {
  { $0.delivered(sequence, of: 0, next: next ?? sequence) }
}

struct DeliveryWindowTests {
  @Test func `a message is completed when the last member has it`() throws {
    let found = try reports(members: 3, size: 1, [gets(0), gets(0), gets(0), gets(1), gets(1), gets(1)])
    #expect(found == [0, 0, 0, 1, 1, 1, 2])
  }

  @Test func `what a later message has overtaken is waited for no more`() throws {
    // The second member never gets message 0.
    let found = try reports(members: 2, size: 2, [gets(0), gets(1, next: 1), gets(1, next: 0)])
    #expect(found == [0, 0, 0, 2])
  }

  @Test func `a message that everybody lost frees its place`() throws {
    #expect(try reports(members: 1, size: 1, [gets(0), gets(2, next: 1), gets(3)]) == [0, 1, 2, 3])
  }

  @Test func `an older message does not take the place of a newer one`() throws {
    let found = try reports(members: 2, size: 1, [gets(5, next: 5), gets(4, next: 4), gets(5, next: 5)])
    #expect(found == [0, 0, 0, 1])
  }

  @Test func `nobody waits for a member that is gone`() throws {
    var gone = OrderCheck()
    _ = gone.take(0)
    let order = gone
    let found = try reports(members: 2, size: 4, [gets(0), gets(1), gets(0), { $0.left([order]) }])
    // It had message 0; message 1 was with the other one only.
    #expect(found == [0, 0, 0, 1, 2])
  }
}
