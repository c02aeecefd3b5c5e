import Bytes
import LayerTestSupport
import Routing
import Synchronization
import Testing

@testable import ChannelLayers
@testable import GatewayConfig
@testable import Transport

/// Notes which groups are wanted.
private final class NotingRecorder: HistoryRecorder {
  private let noted = Mutex<[String]>([])

  var changes: [String] { noted.withLock { $0 } }

  func publish(_ request: RecordRequest) -> Undelivered? { nil }
  func wake() {}
  func change(_ change: InterestChange) {
    noted.withLock { noted in
      switch change {
      case .wanted(let group, let reactor): noted.append("+\(group) \(reactor)")
      case .unwanted(let group, let reactor): noted.append("-\(group) \(reactor)")
      }
    }
  }
}

/// A reactor goes on where those of another process were.
struct ResumedReadersTests {
  private func layer(
    on reactor: Reactor, recorder: NotingRecorder? = nil
  ) throws -> RecordingChannelLayer {
    var rules = HistoryRules()
    rules.add(
      try GroupPattern.parse(template: "room").get(),
      HistoryConfiguration(messages: 100, age: .seconds(3600)))
    let history = GroupHistory(rules, memory: HistoryMemory(limit: 1 << 20))
    return RecordingChannelLayer(
      MemoryChannelLayer(reactor: reactor, number: 0, hub: MemoryHub()), recording: history, reactor: reactor,
      number: 0, recorder: recorder)
  }

  /// - Returns: the positions of the events.
  private func publish(_ types: [String], in layer: RecordingChannelLayer) -> [EventPosition] {
    var positions: [EventPosition] = []
    for type in types {
      layer.publish(Event(type: type), to: "room") {
        if let position = $0.position { positions.append(position) }
      }
    }
    return positions
  }

  private func join(_ member: RecordingMember, _ layer: RecordingChannelLayer) -> Membership {
    layer.groups.join(member, group: "room", route: ObjectIdentifier(layer), renderer: TypeRenderer())
  }

  private func resume(_ member: RecordingMember, _ layer: RecordingChannelLayer, at position: EventPosition) {
    layer.resubscribe(to: "room")
    layer.resumed(join(member, layer), at: position)
  }

  @Test func `members of two reactors that meet on one get what each of them has not had`() throws {
    try onReactor { reactor in
      let layer = try layer(on: reactor)
      let positions = publish(["a", "b", "c", "d"], in: layer)
      var states = [LayerState.Groups(of: 0), LayerState.Groups(of: 1)]
      states[0].delivered = ["room": positions[2]]
      states[1].delivered = ["room": positions[0]]
      for state in states { layer.resume(state) }
      let (ahead, behind) = (RecordingMember(), RecordingMember())
      resume(ahead, layer, at: positions[2])
      resume(behind, layer, at: positions[0])
      #expect(layer.deliveredPositions == ["room": positions[0]])
      _ = publish(["e"], in: layer)
      layer.groups.endOfTurn()
      #expect(ahead.text == "de")
      #expect(behind.text == "bcde")
    }
  }

  @Test func `whoever comes later is not sent what was before, and no further process is`() throws {
    try onReactor { reactor in
      let layer = try layer(on: reactor)
      let positions = publish(["a", "b"], in: layer)
      var state = LayerState.Groups(of: 0)
      // Its last member has left before.
      state.delivered = ["room": positions[0]]
      layer.resume(state)
      #expect(layer.deliveredPositions == [:])
      let member = RecordingMember()
      layer.subscribe(to: "room") { #expect($0 == .active) }
      _ = join(member, layer)
      #expect(layer.deliveredPositions == ["room": positions[1]])
      _ = publish(["c"], in: layer)
      layer.groups.endOfTurn()
      #expect(member.text == "c")
    }
  }

  @Test func `a group that nobody is in is listened to on, as long as in the process before`() throws {
    try onReactor { reactor in
      let recorder = NotingRecorder()
      let layer = try layer(on: reactor, recorder: recorder)
      let since = MonotonicTime.now
      var states = [LayerState.Groups(of: 0), LayerState.Groups(of: 1)]
      // The second one keeps no history any more.
      states[0].idle = ["room": since, "other": since]
      states[1].idle = ["room": since + .seconds(1)]
      for state in states {
        var writer = RecordWriter()
        state.write(to: &writer)
        layer.resume(try RecordReader.read(writer.bytes[...], as: LayerState.Groups.self))
      }
      #expect(recorder.changes == ["+room 0"])
      #expect(layer.idleGroups == ["room": since + .seconds(1)])
      // A session of that process, and one that comes meanwhile.
      layer.resubscribe(to: "room")
      layer.subscribe(to: "room") { _ in }
      #expect(layer.idleGroups == [:])
      for _ in 0..<2 { layer.unsubscribe(from: "room") }
      #expect(Array(layer.idleGroups.keys) == ["room"])
      #expect(recorder.changes == ["+room 0"])
    }
  }
}
