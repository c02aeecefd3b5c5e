import Dispatch
import LayerTestSupport
import Synchronization
import Testing

@testable import ChannelLayers
@testable import Transport

/// One reactor's end of a memory layer, and a way onto its thread.
private struct End: Sendable {
  let thread: ReactorThread
  let work: Mailbox<@Sendable (MemoryChannelLayer) -> Void>

  init(number: Int, hub: MemoryHub, mostWaiting: Int = .max) throws {
    (thread, work) = try Reactor.start(name: "test-\(number)") { reactor in
      reactor.boundMail(to: mostWaiting)
      let layer = MemoryChannelLayer(reactor: reactor, number: number, hub: hub)
      return reactor.mailbox { (work: @Sendable (MemoryChannelLayer) -> Void) in work(layer) }
    }
  }

  /// Runs the body on the reactor, and waits for what it returns.
  func run<Result: Sendable>(_ body: @escaping @Sendable (MemoryChannelLayer) -> Result) async -> Result {
    await withCheckedContinuation { continuation in
      work.post { continuation.resume(returning: body($0)) }
    }
  }

  func stop() {
    thread.stop()
    thread.join()
  }
}

struct MemoryChannelLayerTests {
  @Test func `an event goes with one hop to each reactor that has subscribers, and to no other`() async throws
  {
    let hub = MemoryHub()
    let ends = try (0..<3).map { try End(number: $0, hub: hub) }
    defer { for end in ends { end.stop() } }
    let (deliveries, delivered) = AsyncStream.makeStream(of: Void.self)
    await ends[2].run { $0.subscribe(to: "elsewhere") { _ in } }
    for end in ends[..<2] {
      await end.run { layer in
        for _ in 0..<2 {
          layer.subscribe(to: "room") { #expect($0 == .active) }
          _ = layer.groups.join(
            RecordingMember(onDelivery: { _ in delivered.yield() }), group: "room",
            route: ObjectIdentifier(TypeRenderer.self),
            renderer: TypeRenderer())
        }
      }
    }
    #expect(hub.ends["room"].map(\.number) == [0, 1])
    await ends[0].run { layer in
      let sender = layer.groups.join(
        RecordingMember(onDelivery: { _ in delivered.yield() }), group: "room",
        route: ObjectIdentifier(TypeRenderer.self),
        renderer: TypeRenderer())
      layer.publish(Event(type: "a"), to: "room", from: sender)
    }
    var count = 0
    for await _ in deliveries {
      count += 1
      if count == 5 { break }
    }
    var counters: [LocalGroups.Counters] = []
    for end in ends { counters.append(await end.run { $0.groups.counters }) }
    #expect(counters.map(\.events) == [1, 1, 0])
    #expect(counters.map(\.writes) == [3, 2, 0])
  }

  @Test func `what waits for a reactor is bounded, and the sender is told of what is beyond`() async throws {
    let dropped = Atomic<Int>(0)
    let hub = MemoryHub { dropped.add(1, ordering: .relaxed) }
    let ends = try (0..<2).map { try End(number: $0, hub: hub, mostWaiting: 2_000) }
    defer { for end in ends { end.stop() } }
    await ends[1].run { layer in
      layer.subscribe(to: "room") { _ in }
      _ = layer.groups.join(
        RecordingMember(), group: "room", route: ObjectIdentifier(TypeRenderer.self), renderer: TypeRenderer()
      )
    }
    @Sendable func publish(_ count: Int) async -> [Undelivered] {
      await ends[0].run { layer in
        let member = RecordingMember()
        let sender = layer.groups.join(
          member, group: "room", route: ObjectIdentifier(TypeRenderer.self), renderer: TypeRenderer())
        let event = Event(type: "a", fields: [.init("bytes", .bytes(Array(repeating: 1, count: 1_000)))])
        for _ in 0..<count { layer.publish(event, to: "room", from: sender) }
        layer.groups.leave(sender)
        return member.undelivered
      }
    }
    // What is published has a queue beside that of the orders: only once the reactor stands at the gate
    // is nothing taken from it.
    let gate = DispatchSemaphore(value: 0)
    await withCheckedContinuation { (standing: CheckedContinuation<Void, Never>) in
      ends[1].work.post { _ in
        standing.resume()
        gate.wait()
      }
    }
    let refused = await publish(5)
    gate.signal()
    // Two of them are more than what may wait.
    #expect(refused == [.full, .full, .full])
    #expect(dropped.load(ordering: .relaxed) == 3)
    #expect(await ends[1].run { $0.groups.counters.events } == 2)
    #expect(await publish(1) == [])
    #expect(await ends[1].run { $0.groups.counters.events } == 3)
  }

  @Test func `an event that no session sends reaches every reactor, and whoever published it is told`()
    async throws
  {
    let hub = MemoryHub()
    let ends = try (0..<3).map { try End(number: $0, hub: hub) }
    defer { for end in ends { end.stop() } }
    let (deliveries, delivered) = AsyncStream.makeStream(of: Void.self)
    for end in ends[1...] {
      await end.run { layer in
        layer.subscribe(to: "room") { _ in }
        for _ in 0..<2 {
          _ = layer.groups.join(
            RecordingMember(onDelivery: { _ in delivered.yield() }), group: "room",
            route: ObjectIdentifier(TypeRenderer.self),
            renderer: TypeRenderer())
        }
      }
    }
    let outcome = await ends[0].run { layer in
      var outcome: Published?
      layer.publish(Event(type: "a"), to: "room") { outcome = $0 }
      return outcome
    }
    #expect(outcome == Published())
    var deliveriesLeft = 4
    for await _ in deliveries {
      deliveriesLeft -= 1
      if deliveriesLeft == 0 { break }
    }
    #expect(await ends[1].run { $0.groups.memberCount(of: "room") } == 2)
    #expect(await ends[0].run { $0.groups.memberCount(of: "room") } == 0)
    #expect(
      await ends[2].run { $0.groups.memberCounts(from: 0, most: 9) { _ in true }.counts.map(\.group) }
        == ["room"])
    #expect(await ends[2].run { $0.groups.memberCounts(from: 0, most: 9) { _ in false }.counts.isEmpty })
  }

  @Test func `a look at the groups of another reactor comes behind the events that it was sent`() async throws
  {
    let hub = MemoryHub()
    let ends = try (0..<2).map { try End(number: $0, hub: hub) }
    defer { for end in ends { end.stop() } }
    await ends[1].run { layer in
      layer.subscribe(to: "room") { _ in }
      _ = layer.groups.join(
        RecordingMember(), group: "room", route: ObjectIdentifier(TypeRenderer.self), renderer: TypeRenderer()
      )
    }
    // More than the reactor takes out of a mailbox at a time.
    let (seen, see) = AsyncStream.makeStream(of: UInt64.self)
    await ends[0].run { layer in
      for _ in 0..<10_000 { layer.publish(Event(type: "a"), to: "room") { _ in } }
      let peers = layer.peers(of: "room")
      #expect(peers.map(\.number) == [1])
      for peer in peers { peer.post { see.yield($0.counters.events) } }
    }
    for await events in seen {
      #expect(events == 10_000)
      break
    }
    #expect(await ends[1].run { $0.peers(of: "room").isEmpty })
  }

  @Test func `a reactor is listed until its last subscription ends`() async throws {
    let hub = MemoryHub()
    let end = try End(number: 7, hub: hub)
    defer { end.stop() }
    await end.run { layer in
      for _ in 0..<2 { layer.subscribe(to: "room") { _ in } }
      layer.unsubscribe(from: "room")
    }
    #expect(hub.ends["room"].map(\.number) == [7])
    await end.run { $0.unsubscribe(from: "room") }
    #expect(hub.ends["room"].isEmpty)
  }
}
