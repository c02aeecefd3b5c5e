import Bytes
import Testing
import Transport

@testable import GatewayConfig
@testable import Sessions

private func second(_ number: Double) -> MonotonicTime {
  MonotonicTime(nanoseconds: UInt64(1e12 + number * 1e9))
}

struct UserTableTests {
  private let rate = Rate(count: 2, period: .seconds(1), burst: 3)

  @Test func `without a limit there is no table`() {
    #expect(!UserTable(UserLimits()).isLimiting)
  }

  @Test func `handshakes come by a rate, for each user`() throws {
    let table = UserTable(UserLimits(handshakes: rate))
    func refused(_ user: String, at time: Double) -> Int? {
      table.retryAfter(handshakeOf: user, at: second(time))
    }
    #expect((0..<4).map { _ in refused("5", at: 0) } == [nil, nil, nil, 1])
    #expect(refused("6", at: 0) == nil)
    #expect(refused("5", at: 0.6) == nil)
    #expect(refused("5", at: 0.6) == 1)
    #expect(table.place(of: "5") == nil)
  }

  @Test func `names that only look the same are two users`() throws {
    let table = UserTable(UserLimits(handshakes: Rate(count: 1, period: .seconds(3600), burst: 1)))
    #expect(table.retryAfter(handshakeOf: "\u{e9}", at: second(0)) == nil)
    #expect(table.retryAfter(handshakeOf: "e\u{301}", at: second(0)) == nil)
    #expect(table.retryAfter(handshakeOf: "\u{e9}", at: second(0)) == 3600)
  }

  @Test func `what the sessions of a user owe is remembered behind the last one, and nothing else`() throws {
    let table = UserTable(UserLimits(messages: rate))
    let now = MonotonicTime.now.nanoseconds
    do {
      let one = try #require(table.place(of: "5"))
      let two = try #require(table.place(of: "5"))
      let idle = try #require(table.place(of: "6"))
      #expect(table.sizes.open == 2)
      for _ in 0..<100 { one.pay(at: now) }
      #expect(two.wait(at: now).map { $0 > 40_000_000_000 } == true)
      #expect(idle.wait(at: now) == nil)
    }
    #expect(table.sizes.open == 0 && table.sizes.left == 1)
    #expect(table.place(of: "5")?.wait(at: now) != nil)
  }

  @Test func `another process is no new start`() throws {
    let hour = Rate(count: 1, period: .seconds(3600), burst: 1)
    let limits = UserLimits(messages: rate, handshakes: hour)
    let table = UserTable(limits)
    let sites = AddressTable(AddressLimits(connections: .unlimited, handshakes: hour), of: 10)
    let peer = PeerAddress.tcp(IPAddress(v4: 0xC000_0201), port: 1)
    let now = MonotonicTime.now
    func pay(_ user: String) throws -> UserPlace {
      let place = try #require(table.place(of: user))
      for _ in 0..<100 { place.pay(at: now.nanoseconds) }
      return place
    }
    // One has a session, and the other had one.
    let open = try pay("5")
    _ = try pay("6")
    #expect(table.retryAfter(handshakeOf: "7", at: now) == nil)
    #expect(throws: Never.self) { _ = try sites.take(peer, at: now).get() }
    var state = RateState()
    table.add(to: &state, at: now)
    sites.add(to: &state, at: now)
    var writer = RecordWriter()
    state.write(to: &writer)
    state = try RecordReader.read(writer.bytes[...], as: RateState.self)
    let next = UserTable(limits, resuming: state)
    #expect(
      ["5", "6", "8"].map { next.place(of: $0)?.wait(at: now.nanoseconds) != nil } == [true, true, false])
    #expect(["7", "8"].map { next.retryAfter(handshakeOf: $0, at: now) } == [3600, nil])
    let nextSites = AddressTable(
      AddressLimits(connections: .unlimited, handshakes: hour), of: 10, resuming: state)
    guard case .failure(let refusal) = nextSites.take(peer, at: now) else {
      Issue.record("the address has a new start")
      return
    }
    #expect(refusal.cause == .handshakes)
    withExtendedLifetime(open) {}
  }

  @Test func `what a user publishes counts with the messages of its sessions, open and over`() throws {
    let table = UserTable(UserLimits(messages: rate))
    let now = MonotonicTime.now
    func wait(_ count: Int, after seconds: Double = 0) -> Int? {
      table.retryAfter(
        messages: count, of: "5", at: MonotonicTime(nanoseconds: now.nanoseconds + UInt64(seconds * 1e9)))
    }
    // All or nothing, within the burst; what was not allowed does not count.
    #expect(table.mostMessages == 3)
    #expect([wait(2), wait(2), wait(1), wait(1)] == [nil, 1, nil, 1])
    #expect(wait(1, after: 0.5) == nil)
    #expect(table.retryAfter(messages: 1, of: "6", at: now) == nil)
    do {
      // Four messages are two seconds, of which a burst of three may be ahead by one.
      let session = try #require(table.place(of: "5"))
      #expect(session.wait(at: now.nanoseconds) == 1_000_000_000)
      #expect([wait(1, after: 1), wait(1, after: 1)] == [nil, 1])
    }
    #expect([wait(1, after: 1.4), wait(1, after: 1.5)] == [1, nil])
    let handshakes = UserTable(UserLimits(handshakes: rate))
    #expect(handshakes.retryAfter(messages: 1000, of: "5", at: now) == nil)
  }

  @Test func `the memory is bounded`() throws {
    let table = UserTable(UserLimits(handshakes: rate))
    for number in 0..<150_000 { _ = table.retryAfter(handshakeOf: "\(number)", at: second(0)) }
    #expect(table.sizes.handshakes <= RecentAccounts<Int>.most)
    #expect(table.sizes.handshakes >= RecentAccounts<Int>.most / 2)
  }
}

struct MessageMeterTests {
  private let second: UInt64 = 1_000_000_000

  private func meter(_ excess: MessageRate.Excess) -> MessageMeter {
    MessageMeter(MessageRate(messages: Rate(count: 2, period: .seconds(1), burst: 3), excess: excess))
  }

  @Test func `a client that is made to wait loses no message`() {
    let meter = meter(.wait)
    #expect((0..<3).map { _ in meter.count(at: second) } == [.allowed, .allowed, .allowedBefore(second / 2)])
    #expect(meter.count(at: second * 3 / 2) == .allowedBefore(second / 2))
    #expect(meter.count(at: second * 10) == .allowed)
  }

  @Test(arguments: [MessageRate.Excess.reply, .close])
  func `a message too many is not counted`(_ excess: MessageRate.Excess) {
    let meter = meter(excess)
    #expect((0..<3).map { _ in meter.count(at: second) } == [.allowed, .allowed, .allowed])
    #expect((0..<2).map { _ in meter.count(at: second) } == [.over(second / 2), .over(second / 2)])
    #expect(meter.count(at: second * 3 / 2) == .allowed)
  }

  @Test func `another rate holds from the next message on`() {
    let meter = meter(.wait)
    for _ in 0..<3 { _ = meter.count(at: second) }
    meter.adopt(MessageRate())
    #expect(meter.count(at: second) == .allowed)
  }
}
