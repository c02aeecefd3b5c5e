import Testing

@testable import Transport

struct MemoryBudgetTests {
  @Test func `what is taken never exceeds the total, and all of it comes back`() {
    let budget = MemoryBudget(total: 1000)
    #expect(budget.take(600))
    #expect(!budget.take(401))
    #expect(budget.taken == 600)
    #expect(budget.take(400))
    #expect(!budget.take(1))
    budget.give(1000)
    #expect(budget.taken == 0)
  }

  @Test func `threads that take at once never have more than the total`() async {
    let budget = MemoryBudget(total: 100)
    await withTaskGroup(of: Void.self) { tasks in
      for _ in 0..<8 {
        tasks.addTask {
          for _ in 0..<10_000 where budget.take(30) {
            #expect(budget.taken <= 100)
            budget.give(30)
          }
        }
      }
    }
    #expect(budget.taken == 0)
  }

  @Test func `an allowance takes blocks, and gives back what it does not need`() {
    let budget = MemoryBudget(total: 1 << 30)
    let allowance = MemoryAllowance(of: budget, among: 2)
    let floor = budget.taken
    #expect(floor == 1 << 28)
    allowance.add(floor)
    #expect(budget.taken == floor)
    allowance.add(1)
    let grown = budget.taken
    #expect(grown > floor)
    for _ in 0..<1000 { allowance.add(10) }
    #expect(budget.taken == grown)
    #expect(!allowance.isOver)
    allowance.add(1 << 28)
    allowance.subtract(allowance.used)
    #expect(budget.taken <= floor + (1 << 20))
  }

  @Test func `an allowance that is let go of gives everything back`() {
    let budget = MemoryBudget(total: 1 << 30)
    do {
      let allowance = MemoryAllowance(of: budget, among: 1)
      allowance.add(1 << 29)
      #expect(budget.taken >= 1 << 29)
    }
    #expect(budget.taken == 0)
  }

  @Test func `an allowance that hoards leaves others a part, and is asked for their fair share`() {
    let budget = MemoryBudget(total: 1 << 20)
    let (greedy, modest) = (MemoryAllowance(of: budget, among: 2), MemoryAllowance(of: budget, among: 2))
    greedy.add(1 << 20)
    #expect(greedy.isOver)
    modest.add(1 << 18)
    #expect(!modest.isOver)
    greedy.subtract(1 << 18)
    #expect(greedy.target() == nil)
    // More than the half that is its own, of which the other has a quarter.
    #expect(budget.taken > 1 << 19 + 1 << 18)
    // Beyond its part it is refused, and the other is to let go.
    modest.add(1 << 17)
    #expect(modest.isOver)
    guard let target = greedy.target() else {
      Issue.record("nobody is asked to let go")
      return
    }
    #expect(target < 1 << 19)
    greedy.subtract(greedy.used - target)
    modest.add(1 << 16)
    #expect(!modest.isOver)
    #expect(greedy.target() == nil)
  }
}
