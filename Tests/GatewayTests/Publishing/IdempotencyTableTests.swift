import Testing

@testable import Gateway
@testable import Sessions

struct IdempotencyTableTests {
  private let table = IdempotencyTable()
  private let start = ContinuousClock.now
  private let answer = IdempotencyTable.Answer(status: 200, body: [1])

  private func key(_ text: String, route: String = "publish", user: String? = nil) -> IdempotencyTable.Key {
    .init(route: route, user: user, text: text)
  }

  /// For a request that does not wait.
  private func register(
    _ key: IdempotencyTable.Key, _ digest: [UInt8], at now: ContinuousClock.Instant = .now
  ) -> IdempotencyTable.KeyState {
    table.register(key, digest, at: now, waiting: noReply())
  }

  private func noReply() -> Reply<IdempotencyTable.Answer> { preconditionFailure("nothing is under way") }

  @Test func `the first answer is given again, to the same request only`() {
    #expect(register(key("k"), [7]) == .new)
    table.complete(key("k"), answer, isFinal: true)
    #expect(register(key("k"), [7]) == .answered(answer))
    #expect(register(key("k"), [8]) == .taken)
    #expect(register(key("k", route: "other"), [7]) == .new)
    #expect(register(key("k", user: "ann"), [7]) == .new)
    // To Swift these are the same text.
    #expect(register(key("k", user: "\u{E9}"), [7]) == .new)
    #expect(register(key("k", user: "e\u{301}"), [7]) == .new)
  }

  @Test func `only what is done counts, and what is too much leaves its key new`() {
    var asked = 0
    func register(_ digest: [UInt8], retryAfter seconds: Int?) -> IdempotencyTable.KeyState {
      table.register(
        key("k"), digest,
        retryAfter: {
          asked += 1
          return seconds
        }, waiting: noReply())
    }
    #expect(register([7], retryAfter: 3) == .tooFast(retryAfter: 3))
    #expect(register([8], retryAfter: nil) == .new)
    table.complete(key("k"), answer, isFinal: true)
    #expect(register([8], retryAfter: 3) == .answered(answer))
    #expect(register([7], retryAfter: 3) == .taken)
    #expect(asked == 2)
  }

  @Test(arguments: [true, false])
  func
    `who comes while the first is under way waits for its answer; if that did nothing, the next one tries again`(
      _ isFinal: Bool
    ) async throws
  {
    try await PublishScene.serving(reactors: 1) { scene in
      var given: [IdempotencyTable.Answer?] = []
      #expect(register(key("k"), [7]) == .new)
      for _ in 0..<2 {
        let state = table.register(key("k"), [7], waiting: scene.workers[0].reply { given.append($0) })
        #expect(state == .underWay)
      }
      #expect(register(key("k"), [8]) == .taken)
      scene.settle()
      #expect(given.isEmpty)
      table.complete(key("k"), answer, isFinal: isFinal)
      scene.settle()
      #expect(given == [answer, answer])
      #expect(register(key("k"), [7]) == (isFinal ? .answered(answer) : .new))
    }
  }

  @Test func `answers are forgotten after their time, and the oldest where there are too many`() {
    for number in 0..<10_001 {
      #expect(register(key("\(number)"), [], at: start) == .new)
      table.complete(key("\(number)"), answer, isFinal: true, at: start)
    }
    #expect(register(key("0"), [], at: start) == .new)
    #expect(register(key("1"), [], at: start) == .answered(answer))
    #expect(register(key("1"), [], at: start + .seconds(301)) == .new)
  }

  @Test func `answers are bounded in bytes`() {
    let large = IdempotencyTable.Answer(status: 200, body: Array(repeating: 1, count: 5 << 20))
    for name in ["a", "b", "c", "d"] {
      #expect(register(key(name), []) == .new)
      table.complete(key(name), large, isFinal: true)
    }
    #expect(register(key("a"), []) == .new)
    #expect(register(key("d"), []) == .answered(large))
  }
}
