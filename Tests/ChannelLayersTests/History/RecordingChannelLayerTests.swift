import JSON
import LayerTestSupport
import Routing
import Synchronization
import TestSupport
import Testing

@testable import ChannelLayers
@testable import GatewayConfig
@testable import Transport

/// Renders an event as its position and type, and says where something is missing.
private final class PositionRenderer: EventRenderer {
  func render(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes) -> Rendering {
    var line = event.position.map { "\($0) " } ?? "- "
    line +=
      event.type == Event.historyType ? "gap \(event["gap"] == .json(.bool(true)))\n" : "\(event.type)\n"
    unsafe frames.append(Array(line.utf8).span.bytes)
    return .frames
  }
}

/// What is wrong with what a member got: nothing where each event follows the one before, or a gap was told.
private struct Check: Sendable, Equatable {
  var position: EventPosition?
  var events = 0
  var gaps = 0
  var faults: [String] = []

  mutating func take(_ text: String) {
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: " ")
      guard let new = EventPosition(parts[0]) else { continue }
      if parts[1] == "gap" {
        if parts[2] == "true" { gaps += 1 }
        if parts[2] == "false", let position, position != new { faults.append("\(line) behind \(position)") }
        position = new
        continue
      }
      if let position, new.epoch != position.epoch || new.offset != position.offset + 1 {
        faults.append("\(line) behind \(position)")
      }
      events += 1
      position = new
    }
  }
}

/// A reactor with sessions that come and go.
private final class Client {
  let member = RecordingMember()
  let membership: Membership
  var replay: Replay?
  private let layer: RecordingChannelLayer
  private let renderer: PositionRenderer
  private let start: EventPosition?

  var lines: [String] { member.text.split(separator: "\n").map(String.init) }

  var check: Check {
    var check = Check(position: start)
    check.take(member.text)
    return check
  }

  init(_ layer: RecordingChannelLayer, since position: EventPosition?, renderer: PositionRenderer) {
    self.layer = layer
    self.renderer = renderer
    let replay = Replay(
      from: position.map { .behind($0) } ?? .beginning, isNumbered: true, in: layer, renderer: renderer)
    self.replay = replay
    start = position
    layer.subscribe(to: "room") { #expect($0 == .active) }
    membership = layer.groups.join(member, group: "room", route: ObjectIdentifier(replay), renderer: replay)
  }

  func goOn(parts: Int) {
    for _ in 0..<parts {
      guard let replay else { return }
      let frames = SharedBytes(capacity: 64)
      let progress = replay.next(for: membership, bytes: 500, into: frames)
      _ = layer.groups.catchUp(membership)
      _ = member.deliver(frames, from: 0)
      if progress == .caughtUp {
        layer.groups.move(membership, route: ObjectIdentifier(renderer), renderer: renderer)
        self.replay = nil
      }
    }
  }

  func leave() {
    layer.groups.leave(membership)
    layer.unsubscribe(from: "room")
  }
}

private final class Side {
  let layer: RecordingChannelLayer
  let renderer = PositionRenderer()
  var clients: [Client] = []
  var random: SplitMix
  /// Where those who have left were, and with how many faults.
  var gone: [EventPosition] = []
  var faults: [String] = []
  var gaps = 0
  var events = 0

  init(_ layer: RecordingChannelLayer, seed: UInt64) {
    self.layer = layer
    random = SplitMix(seed: seed)
  }

  func step() {
    switch Int.random(in: 0..<12, using: &random) {
    case 0..<6:
      if let client = clients.randomElement(using: &random) {
        layer.publish(Event(type: "e"), to: "room", from: client.membership)
      } else {
        layer.publish(Event(type: "e"), to: "room") { #expect($0.position != nil) }
      }
    case 6, 7:
      guard clients.count < 8 else { return }
      clients.append(
        Client(layer, since: Bool.random(using: &random) ? gone.popLast() : nil, renderer: renderer))
    case 8:
      guard let index = clients.indices.randomElement(using: &random) else { return }
      finish(clients.remove(at: index))
    default: clients.randomElement(using: &random)?.goOn(parts: Int.random(in: 1...3, using: &random))
    }
  }

  func finish(_ client: Client) {
    _ = layer.groups.catchUp(client.membership)
    client.leave()
    if let position = client.check.position { gone.append(position) }
    faults += client.check.faults
    gaps += client.check.gaps
    events += client.check.events
  }
}

private struct Outcome: Sendable {
  var faults: [String] = []
  var gaps = 0
  var events = 0
  var ends: [EventPosition?] = []
}

/// The same value on its reactor only.
private final class Kept: @unchecked Sendable {
  // Set and read on one reactor's thread.
  var side: Side?
}

/// Where the truth about a group is kept, as far as a test needs it.
private final class Elsewhere: HistoryRecorder {
  let wanted = Mutex<[String]>([])

  func publish(_ request: RecordRequest) -> Undelivered? { nil }
  func wake() {}

  func change(_ change: InterestChange) {
    if case .wanted(let group, _) = change { wanted.withLock { $0.append(group) } }
  }
}

struct RecordingChannelLayerTests {
  private func history(_ messages: Int, memory: Int = 1 << 20) throws -> GroupHistory {
    var rules = HistoryRules()
    rules.add(
      try GroupPattern.parse(template: "room").get(),
      HistoryConfiguration(messages: messages, age: .seconds(3600)))
    return GroupHistory(rules, memory: HistoryMemory(limit: memory))
  }

  @Test func `a member gets what was, and then what comes, without a hole`() throws {
    let history = try history(10)
    try onReactor { reactor in
      let layer = RecordingChannelLayer(
        MemoryChannelLayer(reactor: reactor, number: 0, hub: MemoryHub()), recording: history,
        reactor: reactor,
        number: 0)
      let renderer = PositionRenderer()
      let first = Client(layer, since: nil, renderer: renderer)
      first.goOn(parts: 1)
      for type in ["a", "b"] { layer.publish(Event(type: type), to: "room", from: first.membership) }
      let second = Client(layer, since: nil, renderer: renderer)
      layer.publish(Event(type: "c"), to: "room", from: first.membership)
      second.goOn(parts: 9)
      layer.publish(Event(type: "d"), to: "room", from: second.membership)
      layer.groups.endOfTurn()
      let epoch = String(try #require(first.check.position).epoch, radix: 16)
      let all = ["0 gap false", "1 a", "2 b", "3 c", "4 d"].map { "\(epoch).\($0)" }
      #expect(first.lines == all)
      #expect(second.lines == all)
      let third = Client(layer, since: EventPosition("\(epoch).3"), renderer: renderer)
      third.goOn(parts: 9)
      #expect(third.lines == ["\(epoch).3 gap false", "\(epoch).4 d"])
      let lost = Client(layer, since: EventPosition("1.3"), renderer: renderer)
      lost.goOn(parts: 9)
      #expect(lost.lines == ["\(epoch).0 gap true"] + all.dropFirst())
      for client in [first, second, third, lost] { client.leave() }
    }
  }

  @Test func `a replay that has begun misses nothing that is still there, however slow it is`() throws {
    let history = try history(10)
    try onReactor { reactor in
      let layer = RecordingChannelLayer(
        MemoryChannelLayer(reactor: reactor, number: 0, hub: MemoryHub()), recording: history,
        reactor: reactor, number: 0)
      let client = Client(layer, since: nil, renderer: PositionRenderer())
      func publish(_ count: Int) {
        for _ in 0..<count { layer.publish(Event(type: "e"), to: "room") { #expect($0.position != nil) } }
      }
      publish(20)
      client.goOn(parts: 1)
      #expect(client.check.events < 10)
      publish(30)
      client.goOn(parts: 100)
      #expect(client.replay == nil)
      #expect(client.check.position?.offset == 50)
      #expect(client.check.events == 40 && client.check.gaps == 0)
      #expect(client.check.faults == [])
      client.leave()
    }
  }

  @Test func `a member ahead of a copy waits until the copy is there, and for long only where it is never`()
    async throws
  {
    let history = try history(10)
    let limits = try #require(history.rules.limits(of: "room"))
    let copy = history.acquire("room", limits)
    copy.restart(behind: EventPosition(epoch: 7, offset: 0))
    func insert(_ offset: UInt64) {
      let position = EventPosition(epoch: 7, offset: offset)
      #expect(copy.insert(Event(type: "e"), at: position, time: .now, stamp: offset) == .inserted)
    }
    insert(1)
    let kept = Kept()
    let elsewhere = Elsewhere()
    let (thread, work) = try Reactor.start(name: "test") { reactor in
      let plain = MemoryChannelLayer(reactor: reactor, number: 0, hub: MemoryHub())
      let layer = RecordingChannelLayer(
        plain, recording: history, reactor: reactor, number: 0, recorder: elsewhere)
      let side = Side(layer, seed: 0)
      kept.side = side
      return (
        reactor.mailbox { (work: @Sendable (Side) -> Void) in work(side) }, layer.end
      )
    }
    func run<Result: Sendable>(_ body: @escaping @Sendable (Side) -> Result) async -> Result {
      await withCheckedContinuation { continuation in
        work.0.post { continuation.resume(returning: body($0)) }
      }
    }
    // Its place in the history: two events further than the copy.
    _ = await run { side in
      side.clients.append(Client(side.layer, since: EventPosition("7.3"), renderer: side.renderer))
    }
    #expect(elsewhere.wanted.withLock { $0 } == ["room"])
    work.1?.post(.subscribed("room", .active))
    func progress() async -> Replay.Progress? {
      await run { side in
        let client = side.clients[0]
        let frames = SharedBytes(capacity: 64)
        let progress = client.replay?.next(for: client.membership, bytes: 500, into: frames)
        _ = client.member.deliver(frames, from: 0)
        return progress
      }
    }
    guard case .wait(let pause)? = await progress() else {
      Issue.record("it does not wait")
      return
    }
    #expect(pause == .milliseconds(10))
    // Nothing is copied for a reader that waits.
    let ahead = await run { $0.layer.history(of: "room", behind: EventPosition("7.3"), bytes: .max) }
    #expect(ahead?.isAhead == true && ahead?.events == [] && ahead?.start == EventPosition("7.1"))
    for offset in [2, 3, 4] as [UInt64] { insert(offset) }
    #expect(await progress() == .caughtUp)
    #expect(await run { $0.clients[0].lines } == ["7.3 gap false", "7.4 e"])
    // A position that nobody was given.
    let frames = await run { side in
      let client = Client(side.layer, since: nil, renderer: side.renderer)
      let replay = Replay(
        from: .behind(EventPosition(epoch: 7, offset: 9)), isNumbered: true, in: side.layer,
        renderer: side.renderer, waitingFor: LaggingCopy(longest: .zero))
      let frames = SharedBytes(capacity: 64)
      #expect(replay.next(for: client.membership, bytes: .max, into: frames) == .caughtUp)
      return unsafe frames.withBytes(from: 0) { unsafe String(decoding: $0, as: UTF8.self) }
    }
    #expect(frames.hasPrefix("7.0 gap true\n7.1 e"))
    thread.stop()
    thread.join()
    history.release(copy)
  }

  @Test func `what concerns only those who are there is not kept, and reaches also who is being replayed to`()
    throws
  {
    let history = try history(10)
    try onReactor { reactor in
      let layer = RecordingChannelLayer(
        MemoryChannelLayer(reactor: reactor, number: 0, hub: MemoryHub()), recording: history,
        reactor: reactor,
        number: 0)
      let renderer = PositionRenderer()
      let (first, second) = (
        Client(layer, since: nil, renderer: renderer), Client(layer, since: nil, renderer: renderer)
      )
      first.goOn(parts: 1)
      layer.publish(Event(type: "sluice.x"), to: "room", from: first.membership)
      layer.groups.endOfTurn()
      #expect(first.lines.last == "- sluice.x")
      #expect(second.lines == ["- sluice.x"])
      #expect(layer.history(of: "room", behind: nil, bytes: .max)?.events.isEmpty == true)
      #expect(layer.history(of: "elsewhere", behind: nil, bytes: .max) == nil)
      for client in [first, second] { client.leave() }
    }
  }

  /// Three reactors publish, sessions come, go and resume, and memory is taken away, all at the same time.
  @Test(arguments: 0..<6)
  func `every member sees each event once and in order, or is told of a gap`(_ seed: UInt64) async throws {
    let history = try history(seed.isMultiple(of: 2) ? 100_000 : 20, memory: seed < 3 ? 1 << 20 : 8_000)
    let hub = MemoryHub()
    var ends: [(thread: ReactorThread, kept: Kept, work: Mailbox<@Sendable (Side) -> Void>)] = []
    for number in 0..<3 {
      let kept = Kept()
      let (thread, work) = try Reactor.start(name: "test-\(number)") { reactor in
        let plain = MemoryChannelLayer(reactor: reactor, number: number, hub: hub)
        let side = Side(
          RecordingChannelLayer(plain, recording: history, reactor: reactor, number: number),
          seed: seed &* 7 &+ UInt64(number))
        kept.side = side
        return reactor.mailbox { (work: @Sendable (Side) -> Void) in work(side) }
      }
      ends.append((thread, kept, work))
    }
    func run<Result: Sendable>(_ index: Int, _ body: @escaping @Sendable (Side) -> Result) async -> Result {
      await withCheckedContinuation { continuation in
        ends[index].work.post { continuation.resume(returning: body($0)) }
      }
    }
    await withDiscardingTaskGroup { group in
      for (index, _) in ends.enumerated() {
        let work = ends[index].work
        group.addTask {
          for _ in 0..<400 {
            await withCheckedContinuation { continuation in
              work.post { side in
                for _ in 0..<5 { side.step() }
                continuation.resume()
              }
            }
          }
        }
      }
    }
    let last = history.all().first?.last
    var events = 0
    var gaps = 0
    for index in ends.indices {
      let outcome = await run(index) { side in
        for client in side.clients {
          client.goOn(parts: .max)
          _ = side.layer.history(of: "room", behind: nil, bytes: 1)
          side.layer.groups.endOfTurn()
        }
        let ends = side.clients.map(\.check.position)
        for client in side.clients { side.finish(client) }
        side.clients = []
        return Outcome(faults: side.faults, gaps: side.gaps, events: side.events, ends: ends)
      }
      #expect(outcome.faults == [])
      // Nobody publishes any more: everybody is at the end.
      #expect(outcome.ends.allSatisfy { $0 == last })
      events += outcome.events
      gaps += outcome.gaps
    }
    #expect(events > 1000)
    // Where all is kept nobody misses anything.
    if seed == 0 || seed == 2 { #expect(gaps == 0) } else { #expect(gaps > 0) }
    for end in ends {
      end.thread.stop()
      end.thread.join()
    }
  }
}

struct LaggingCopyTests {
  @Test func `the pauses double, and all together are no longer than the wait`() {
    var copy = LaggingCopy(longest: .seconds(2))
    let ahead = HistorySlice(aheadOf: EventPosition(epoch: 1, offset: 1))
    var now = MonotonicTime.now
    let start = now
    var pauses: [Duration] = []
    while let pause = copy.pause(before: ahead, at: now) {
      pauses.append(pause)
      now = now + pause
    }
    #expect(now.since(start) == .seconds(2))
    let expected: [Duration] = [10, 10, 20, 40, 80, 160, 320, 640, 720].map { .milliseconds($0) }
    #expect(pauses == expected)
    #expect(copy.pause(before: HistorySlice(start: EventPosition(epoch: 1, offset: 1)), at: start) == nil)
  }
}
