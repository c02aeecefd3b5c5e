import LayerTestSupport
import Logging
import Testing
import Transport

@testable import RedisClient

/// Owns a link as the hub, the history and the presence of a layer do.
private actor Owner: LinkOwner {
  enum Step: Equatable {
    case opened
    case ended(String)
    case beat(Int)
    case worked
    case said(String)
  }

  let clock = FakeClock()
  let server = FakeServer()
  nonisolated let lines = LogLines()
  let life: RedisLife
  /// The clock knows a beat by this time, so that nothing else may wait for as long.
  static let beat = Duration.seconds(1)
  private let outage: OutageLog
  private let link: RedisLink<FakeConnection>
  private let (requests, request) = AsyncStream<Void>.makeStream()
  private nonisolated let steps: AsyncStream<Step>
  private nonisolated let step: AsyncStream<Step>.Continuation
  private var running: Task<Void, Never>?

  init(beats: Bool = false) {
    let clock = clock.clock
    life = RedisLife(
      clock: RedisClock(now: clock.now) { time in
        // Without beats the first one is never due.
        let isQuiet = !beats && time == Self.beat
        if isQuiet { try await Task.sleep(for: .seconds(3600)) } else { try await clock.sleep(time) }
      })
    (steps, step) = AsyncStream.makeStream()
    outage = OutageLog(
      lines.log, start: (.error, "not available", [:]), end: (.notice, "available", [:]))
    link = RedisLink(life, reporting: outage, silence: .seconds(15), clock: clock) { [server] in
      try await server.connect()
    }
  }

  func start() {
    running = Task { await run() }
  }

  func keepConnections() async {
    await link.keep { connection in
      step.yield(.opened)
      await connection.waitUntilClosed()
      throw link.refusal ?? .disconnected
    } ended: { failure in
      step.yield(.ended(failure.map { "\($0)" } ?? ""))
    }
  }

  func work() async {
    for await _ in requests {}
    step.yield(.worked)
  }

  func tend(beat: Int) async {
    link.closeIfSilent()
    step.yield(.beat(beat))
  }

  func finish() { request.finish() }

  func withdraw() async {
    step.yield(.said(link.connection?.isClosed == false ? "over an open connection" : "over none"))
  }

  func closeConnections() { link.close() }

  func confirm() {
    if link.confirm() { outage.close() }
  }

  func refuse() { link.refuse(.refused(RedisRefusal("NOPERM no"))) }
  func heard() { link.heard() }

  func end() async {
    await stop(within: .seconds(2))
    await running?.value
  }

  nonisolated func next() async -> Step? { await steps.first { _ in true } }

  /// - Returns: the connection, once the link uses it.
  nonisolated func connected() async throws -> FakeConnection {
    let connection = try #require(await server.attempt()).succeed()
    #expect(await next() == .opened)
    return connection
  }

  var isUp: Bool { link.isUp }
}

struct RedisLinkTests {
  private static let lost = "the connection ended"
  private let owner = Owner()

  /// Ends the next wait before an attempt.
  ///
  /// - Returns: whether it was as long as the wait with this number, which is random from its half on.
  private func pause(_ number: Int) async throws -> Bool {
    let nap = try #require(await owner.clock.nap())
    owner.clock.end(nap)
    let longest = Duration.milliseconds(min(100 << number, 5000))
    return (longest / 2...longest).contains(nap.duration)
  }

  @Test func `a first connection is no end of an outage, and is up once the server has granted its purpose`()
    async throws
  {
    await owner.start()
    let connection = try await owner.connected()
    #expect(await !owner.isUp)
    await owner.confirm()
    #expect(await owner.isUp && !connection.isClosed)
    #expect(owner.lines.all.isEmpty)
    await owner.end()
  }

  @Test func `a lost connection is opened again, with one line for the outage and one for its end`()
    async throws
  {
    await owner.start()
    let first = try await owner.connected()
    await owner.confirm()
    owner.clock.advance(by: .seconds(60))
    first.close()
    #expect(await owner.next() == .ended(Self.lost))
    #expect(await !owner.isUp)
    #expect(try await pause(0))
    for number in 1...3 {
      try #require(await owner.server.attempt()).fail(.cannotConnect("nobody is there"))
      #expect(await owner.next() == .ended("cannot connect: nobody is there"))
      #expect(try await pause(number))
    }
    _ = try await owner.connected()
    #expect(owner.lines.all == ["error not available: \(Self.lost)"])
    await owner.confirm()
    await owner.confirm()
    #expect(owner.lines.all == ["error not available: \(Self.lost)", "notice available"])
    await owner.end()
  }

  @Test func `how long a connection lasts counts from the answer, however long the attempt took`()
    async throws
  {
    await owner.start()
    // Each lasts just too short, after an attempt that took longer than that.
    for number in 0..<4 {
      let attempt = try #require(await owner.server.attempt())
      owner.clock.advance(by: .seconds(4))
      let connection = attempt.succeed()
      #expect(await owner.next() == .opened)
      await owner.confirm()
      owner.clock.advance(by: .milliseconds(999))
      connection.close()
      #expect(await owner.next() == .ended(Self.lost))
      #expect(try await pause(number))
    }
    let connection = try await owner.connected()
    await owner.confirm()
    owner.clock.advance(by: .milliseconds(1001))
    connection.close()
    #expect(await owner.next() == .ended(Self.lost))
    #expect(try await pause(0))
    await owner.end()
  }

  @Test(arguments: [false, true])
  func `a server that refuses what the connection is for is tried more and more rarely`(_ isLate: Bool)
    async throws
  {
    await owner.start()
    for number in 0..<7 {
      let connection = try await owner.connected()
      if isLate { await owner.confirm() }
      owner.clock.advance(by: .seconds(60))
      await owner.refuse()
      #expect(connection.isClosed)
      #expect(await owner.next() == .ended("NOPERM no"))
      #expect(try await pause(number))
    }
    if !isLate { #expect(owner.lines.all == ["error not available: NOPERM no"]) }
    // The right was given.
    let connection = try await owner.connected()
    await owner.confirm()
    owner.clock.advance(by: .seconds(60))
    connection.close()
    #expect(await owner.next() == .ended(Self.lost))
    #expect(try await pause(0))
    await owner.end()
  }

  @Test func `a connection without its purpose is no success, however long it lasts`() async throws {
    await owner.start()
    for number in 0..<3 {
      let connection = try await owner.connected()
      owner.clock.advance(by: .seconds(60))
      connection.close()
      #expect(await owner.next() == .ended(Self.lost))
      #expect(try await pause(number))
    }
    await owner.end()
  }

  @Test func `a connection that is silent for too long is ended, unless nobody reads it`() async throws {
    let owner = Owner(beats: true)
    await owner.start()
    let connection = try await owner.connected()
    await owner.confirm()
    var count = 0
    func beat() async throws {
      owner.clock.end(try #require(await owner.clock.nap()))
      count += 1
      #expect(await owner.next() == .beat(count))
    }
    for _ in 0..<15 { try await beat() }
    await owner.heard()
    // What was heard counts from the beat after it.
    for _ in 0..<16 { try await beat() }
    #expect(!connection.isClosed)
    connection.pause()
    for _ in 0..<20 { try await beat() }
    connection.resume()
    for _ in 0..<15 { try await beat() }
    #expect(!connection.isClosed)
    owner.clock.end(try #require(await owner.clock.nap()))
    // The end of the connection, and the beat in which it was noticed.
    let steps = [await owner.next(), await owner.next()]
    #expect(steps.contains(.ended(Self.lost)) && steps.contains(.beat(count + 1)))
    #expect(connection.isClosed)
    await owner.end()
  }

  // MARK: - Stopping

  @Test func `a stop uses the connection once more, after all work is done, and then closes it`() async throws
  {
    let owner = Owner(beats: true)
    await owner.start()
    let connection = try await owner.connected()
    await owner.confirm()
    await owner.end()
    #expect(await owner.next() == .worked)
    #expect(await owner.next() == .said("over an open connection"))
    #expect(await owner.next() == .ended(Self.lost))
    #expect(connection.isClosed)
    #expect(owner.lines.all.isEmpty)
  }

  @Test func `a stop while connecting ends the attempt`() async throws {
    await owner.start()
    _ = try #require(await owner.server.attempt())
    await owner.end()
    #expect(owner.lines.all.isEmpty)
  }

  @Test func `a stop before the server has granted anything closes the connection`() async throws {
    await owner.start()
    let connection = try await owner.connected()
    await owner.end()
    #expect(connection.isClosed)
    #expect(owner.lines.all.isEmpty)
  }

  @Test func `a stop between two attempts waits for neither`() async throws {
    await owner.start()
    try #require(await owner.server.attempt()).fail(.timeout)
    #expect(await owner.next() == .ended("no answer in time"))
    _ = try #require(await owner.clock.nap())
    await owner.end()
    #expect(await owner.next() == .worked)
    #expect(await owner.next() == .said("over none"))
    #expect(owner.lines.all == ["error not available: no answer in time"])
  }

  @Test func `a stop before the start leaves nothing to run`() async {
    await owner.end()
    await owner.start()
    await owner.end()
  }
}

struct OutageLogTests {
  @Test func `an outage is one line, and so is its end if there is something to say`() {
    let lines = LogLines()
    let start: OutageLog.Line = (.warning, "gone", ["host": "h"])
    let silent = OutageLog(lines.log, start: start, end: nil)
    for _ in 0..<2 {
      silent.close()
      silent.report(RedisFailure.timeout)
      silent.report(RedisFailure.disconnected)
      #expect(silent.isOpen)
      silent.close()
      #expect(!silent.isOpen)
    }
    #expect(lines.all == Array(repeating: "warning gone: no answer in time", count: 2))
  }
}
