import ChannelLayers
import JSON
import Routing
import Synchronization
import Testing

@testable import Consumers
@testable import GatewayConfig
@testable import Transport

/// Collects what an operator would be told.
private final class Reports: Sendable {
  private let all = Mutex<[UnfitEvents.Report]>([])

  var told: [UnfitEvents.Report] { all.withLock { $0 } }

  /// In one line each.
  var lines: [String] {
    told.map { "\($0.fate) \($0.type): \($0.reason)" + ($0.hint.map { "; \($0)" } ?? "") }
  }

  func add(_ report: UnfitEvents.Report) { all.withLock { $0.append(report) } }
}

private func group(_ events: [String: EventTemplate] = [:]) -> GroupConfiguration {
  GroupConfiguration(templates: [GroupPattern(parts: [.literal("g")])], events: events)
}

private func render(_ renderer: some EventRenderer, _ event: Event) {
  _ = renderer.render(event, for: nil, into: SharedBytes(capacity: 64))
}

struct UnfitEventsTests {
  private let reports = Reports()

  private func chat(_ events: [String: EventTemplate] = [:]) -> Consumer {
    Consumer(.chat(group(events)), report: reports.add)
  }

  @Test func `an unknown type is told once, with the nearest known one`() {
    let chat = chat(["order.paid": .wholeEvent])
    for _ in 0..<3 { render(chat, Event(type: "order.payd")) }
    render(NumberedRenderer(chat), Event(type: "order.payd"))
    render(chat, Event(type: "order.paid"))
    #expect(
      reports.lines == [
        #"dropped order.payd: the route has no event of this type; did you mean "order.paid"?"#
      ])
  }

  @Test func `each kind of mistake in events of one type is told once`() {
    let unfit = UnfitEvents(known: [], report: reports.add)
    let event = Event(type: "sluice.join")
    for kind in ["a", "b", "a"] { unfit.dropped(event, "reason \(kind)", of: kind) }
    unfit.dropped(event, "other words", of: "b")
    #expect(reports.lines == ["dropped sluice.join: reason a", "dropped sluice.join: reason b"])
    for number in 0..<100 { unfit.dropped(event, "", of: "\(number)") }
    #expect(reports.told.count == UnfitEvents.most)
  }

  @Test(arguments: [
    (Event(type: "chat.message"), #"the event has no field "message""#),
    (
      Event(type: "chat.message", fields: [.init("message", .bytes([1]))]),
      #"the field "message" holds bytes, which JSON cannot carry"#
    ),
    (Event(type: "broadcast.message"), #"the event has neither "text" nor "bytes""#),
    (
      Event(type: "websocket.send", fields: [.init("text", .json(.integer(1)))]),
      #"the field "text" is not a string"#
    ),
    (
      Event(type: "websocket_send", fields: [.init("bytes", .json(.string("AA==")))]),
      #"the field "bytes" does not hold bytes"#
    ),
    (
      Event(type: "websocket.close", fields: [.init("code", .json(.integer(1006)))]),
      #"the field "code" is not a close code that may be sent"#
    ),
  ])
  func `a known type whose fields do not fit is told once, by every kind of route`(
    _ event: Event, _ reason: String
  ) {
    let renderers: [any EventRenderer] = [
      chat(), Consumer(.broadcast(group(), publish: .nobody), report: reports.add),
      EventStreamRenderer(group(), showsPosition: true, report: reports.add),
    ]
    for renderer in renderers {
      render(renderer, event)
      render(renderer, event)
    }
    #expect(reports.told.map(\.reason) == [reason, reason, reason])
    #expect(reports.told.allSatisfy { $0.fate == .dropped && $0.type == event.type })
  }

  @Test func `a field that a template asks for and an event lacks is told, for each field`() {
    let template = EventTemplate.object([
      .init(key: "a", value: .field("data.id")), .init(key: "b", value: .field("usr")),
      .init(key: "c", value: .text(TextTemplate(parts: [.literal("by "), .place("blob")]))),
      .init(key: "d", value: .field("empty")), .init(key: "e", value: .field("type")),
    ])
    let event = Event(
      type: "tick",
      fields: [
        .init("data", .json(["ids": .integer(1)])), .init("user", .json(.integer(1))),
        .init("blob", .bytes([1])),
        .init("empty", .json(.null)),
      ])
    let chat = chat(["tick": template])
    render(chat, event)
    render(chat, event)
    #expect(
      reports.lines == [
        #"incomplete tick: the field "data" has no "id"; did you mean "ids"?"#,
        #"incomplete tick: the event has no field "usr"; did you mean "user"?"#,
        #"incomplete tick: the field "blob" holds bytes, which JSON cannot carry; send them as base64 text"#,
      ])
  }

  @Test func `bytes in an event that is sent whole are told`() {
    render(chat(["tick": .wholeEvent]), Event(type: "tick", fields: [.init("blob", .bytes([1]))]))
    #expect(reports.told.map(\.fate) == [.incomplete])
  }

  @Test func `types without end are told up to a bound`() {
    let chat = chat()
    for number in 0..<1000 { render(chat, Event(type: "invented.\(number)")) }
    #expect(reports.told.count == UnfitEvents.most)
    #expect(reports.told.last?.fate == .last)
    #expect(reports.told.dropLast().allSatisfy { $0.fate == .dropped })
  }

  @Test func `what the gateway tells its own sessions is no surprise, and an order in a wrong group is`() {
    let broadcast = Consumer(.broadcast(group(), publish: .nobody), report: reports.add)
    // As the gateway makes them.
    render(
      broadcast,
      Event(type: Event.presenceType, fields: [.init(Event.presenceField, .encodedJSON(Array("{}".utf8)))]))
    for type in [Event.historyType, Event.unreadableType] {
      var event = Event(type: type)
      event.position = EventPosition(epoch: 1, offset: 1)
      render(broadcast, event)
    }
    #expect(reports.told == [])
    render(broadcast, Event(type: "sluice.disconnect"))
    #expect(reports.told.map(\.hint) == [#"send control events to the group "sluice.control""#])
  }

  @Test func `another program's event of one of the gateway's own types is told, however it is spelt`() {
    let types = ["sluice.presence", "sluice_presence", "sluice.history", "sluice.unreadable"]
    let renderers: [any EventRenderer] = [
      chat(), Consumer(.broadcast(group(), publish: .nobody), report: reports.add),
      EventStreamRenderer(group(), showsPosition: true, report: reports.add), NumberedRenderer(chat()),
    ]
    for renderer in renderers {
      for type in types { render(renderer, Event(type: type, fields: [.init("presence", .json(.null))])) }
    }
    #expect(reports.told.map(\.type) == types + types + types + types)
  }

  @Test func `the groups of one event stream report together`() {
    let first = EventStreamRenderer(group(), showsPosition: true, report: reports.add)
    render(first, Event(type: "x.y"))
    render(first.withoutPositions, Event(type: "x.y"))
    #expect(reports.told.count == 1)
  }
}
