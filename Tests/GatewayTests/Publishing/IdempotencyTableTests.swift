import Testing

@testable import Gateway

struct IdempotencyTableTests {
  private let table = IdempotencyTable()
  private let start = ContinuousClock.now
  private let answer = IdempotencyTable.Answer(status: 200, body: [1])

  private func key(_ text: String, route: String = "publish", user: String? = nil) -> IdempotencyTable.Key {
    .init(route: route, user: user, text: text)
  }

  private func isNew(_ state: IdempotencyTable.KeyState) -> Bool {
    if case .new = state { true } else { false }
  }

  @Test func `the first answer is given again, to the same request only`() {
    #expect(isNew(table.register(key("k"), [7])))
    table.complete(key("k"), answer, isFinal: true)
    guard case .answered(answer) = table.register(key("k"), [7]) else { return #expect(Bool(false)) }
    guard case .taken = table.register(key("k"), [8]) else { return #expect(Bool(false)) }
    #expect(isNew(table.register(key("k", route: "other"), [7])))
    #expect(isNew(table.register(key("k", user: "ann"), [7])))
    // To Swift these are the same text.
    #expect(isNew(table.register(key("k", user: "\u{E9}"), [7])))
    #expect(isNew(table.register(key("k", user: "e\u{301}"), [7])))
  }

  @Test func `who comes while the first is under way waits for its answer`() async {
    #expect(isNew(table.register(key("k"), [7])))
    guard case .underWay(let one) = table.register(key("k"), [7]),
      case .underWay(let other) = table.register(key("k"), [7])
    else { return #expect(Bool(false)) }
    guard case .taken = table.register(key("k"), [8]) else { return #expect(Bool(false)) }
    table.complete(key("k"), answer, isFinal: true)
    for await given in one { #expect(given == answer) }
    for await given in other { #expect(given == answer) }
  }

  @Test func `what did nothing is tried again`() async {
    #expect(isNew(table.register(key("k"), [7])))
    guard case .underWay(let waiting) = table.register(key("k"), [7]) else { return #expect(Bool(false)) }
    table.complete(key("k"), answer, isFinal: false)
    for await given in waiting { #expect(given == answer) }
    #expect(isNew(table.register(key("k"), [7])))
  }

  @Test func `answers are forgotten after their time, and the oldest where there are too many`() {
    for number in 0..<10_001 {
      #expect(isNew(table.register(key("\(number)"), [], at: start)))
      table.complete(key("\(number)"), answer, isFinal: true, at: start)
    }
    #expect(isNew(table.register(key("0"), [], at: start)))
    guard case .answered = table.register(key("1"), [], at: start) else { return #expect(Bool(false)) }
    #expect(isNew(table.register(key("1"), [], at: start + .seconds(301))))
  }

  @Test func `answers are bounded in bytes`() {
    let large = IdempotencyTable.Answer(status: 200, body: Array(repeating: 1, count: 5 << 20))
    for name in ["a", "b", "c", "d"] {
      #expect(isNew(table.register(key(name), [])))
      table.complete(key(name), large, isFinal: true)
    }
    #expect(isNew(table.register(key("a"), [])))
    guard case .answered = table.register(key("d"), []) else { return #expect(Bool(false)) }
  }
}
