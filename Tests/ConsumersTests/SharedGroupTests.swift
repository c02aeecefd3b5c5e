import Bytes
import ChannelLayers
import JSON
import Routing
import Testing
import WebSocketCore

@testable import Consumers
@testable import GatewayConfig
@testable import Transport

/// Routes of both kinds may be in one group.
struct SharedGroupTests {
  private let group = GroupConfiguration(
    templates: [GroupPattern(parts: [.literal("g")])], events: [:])

  private func rendered(_ event: Event, by consumer: Consumer) -> [UInt8]? {
    let frames = SharedBytes(capacity: 64)
    guard consumer.render(event, for: nil, into: frames) == .frames else { return nil }
    var bytes: [UInt8] = []
    frames.read { bytes = [UInt8](copying: $0) }
    return bytes
  }

  @Test func `every route hears chat and broadcast`() {
    let chat = Consumer(.chat(group))
    let broadcast = Consumer(.broadcast(group, publish: .nobody))
    let said = Event(type: Chat.eventType, fields: [.init("message", .json(.string("hi")))])
    let sent = Event(type: Broadcast.eventType, fields: [.init("text", .text(Array("hi".utf8)))])
    for event in [said, sent] {
      #expect(rendered(event, by: chat) != nil)
      #expect(rendered(event, by: chat) == rendered(event, by: broadcast))
    }
    #expect(rendered(Event(type: "unknown"), by: broadcast) == nil)
  }
}
