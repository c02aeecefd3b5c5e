import ChannelLayers
import JSON
import Testing

@testable import Gateway
@testable import Sessions
@testable import Transport

private let application = """
  installed_apps: [broadcast]
  channel_layers: {default: {backend: memory}}
  logging: {sessions: true}
  applications:
    main:
      http:
        - {path: events/, events: {group: news, heartbeat: 5s, retry: 2s}, limits: {send_queue: 64KiB}}
        - {path: both/, events: {group: [news, other], heartbeat: 5s}}
      websocket:
        - {path: ws/news/, consumer: broadcast, group: news}
        - {path: ws/other/, consumer: broadcast, group: other}
  """

/// One event stream from its request to its end, with its own worker and a client that does what the test says.
struct EventStreamSessionTests {
  private func serving(_ body: (TurnedWorker) async throws -> Void) async throws {
    try await TurnedWorker.serving(application, body)
  }

  /// The client of a stream that has begun.
  private func open(_ scene: TurnedWorker, _ path: String = "/events/") throws -> TestPeer {
    let client = try scene.ask("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
    let head = client.head() ?? ""
    #expect(head.hasPrefix("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"))
    #expect(client.plain().hasPrefix("retry: "))
    return client
  }

  @Test func `events are sent as they come, and comments while none do`() async throws {
    try await serving { scene in
      let client = try open(scene)
      let sender = try scene.open("/ws/news/")
      scene.pass(.milliseconds(4900))
      sender.text("one\ntwo")
      scene.settle()
      #expect(client.plain() == "data: one\ndata: two\n\n")
      // The time runs from what was sent last.
      scene.pass(.milliseconds(4900))
      #expect(client.plain() == "")
      scene.pass(.milliseconds(1300))
      scene.pass(.milliseconds(1300))
      #expect(client.plain() == ":\n\n")
      scene.pass(.milliseconds(2400), times: 2)
      #expect(client.plain() == "")
      scene.pass(.milliseconds(2600), times: 2)
      #expect(client.plain() == ":\n\n")
      #expect(scene.sessions == 2)
    }
  }

  @Test func `a client that reads too slowly is let go, and a comment never waits behind an event`()
    async throws
  {
    try await serving { scene in
      let client = try open(scene)
      let sender = try scene.open("/ws/news/")
      let message = String(repeating: "n", count: 1000)
      let sent = scene.overrun(message, from: sender) { number in
        _ = sender.heard()
        if number == 60 { scene.pass(.seconds(5), times: 4) }
      }
      #expect((64..<200).contains(sent))
      #expect(scene.sessions == 1)
      let lines = scene.readOutPlain(client).split(separator: "\n")
      #expect(lines.dropLast().allSatisfy { $0 == "data: " + message })
      #expect(client.isOver)
      #expect(scene.lines("a client read too slowly").count == 1)
      #expect(scene.lines("a session ended").count == 1)
      #expect(scene.lines("code=1013").count == 1)
      #expect(scene.members(of: "news") == 1)
    }
  }

  @Test func `what a client sends behind its request is passed over, up to a bound`() async throws {
    try await serving { scene in
      let client = try open(scene)
      scene.push([UInt8](repeating: 0x20, count: 16 * 1024), from: client)
      #expect(scene.sessions == 1)
      client.send(" ")
      scene.settle()
      #expect(scene.sessions == 0)
      #expect(client.isOver)
    }
  }

  @Test(arguments: [true, false])
  func `a client that is gone is in no group any more`(_ isHalf: Bool) async throws {
    try await serving { scene in
      let client = try open(scene, "/both/")
      #expect((scene.members(of: "news"), scene.members(of: "other")) == (1, 1))
      if isHalf { client.finish() } else { client.hangUp() }
      scene.settle()
      #expect((scene.members(of: "news"), scene.members(of: "other")) == (0, 0))
      #expect((scene.sessions, scene.connections) == (0, 0))
      #expect(scene.lines("a session ended").first?.contains("code=1006") == true)
    }
  }

  @Test func `an event that closes is told, behind all that comes before it`() async throws {
    try await serving { scene in
      let client = try open(scene, "/both/")
      let sender = try scene.open("/ws/other/")
      // What is ready in the other group goes first.
      sender.text("last")
      scene.publish(
        Event(type: "websocket.close", fields: [.init("code", .json(.integer(4000)))]), to: "news")
      scene.settle()
      #expect(client.plain() == "data: last\n\nevent: close\ndata: {\"code\":4000,\"reason\":\"\"}\n\n")
      #expect(client.isOver)
      #expect(scene.members(of: "other") == 1)
      // Nothing reaches it any more, and it has two seconds to go.
      scene.pass(.milliseconds(2100))
      #expect(scene.sessions == 1)
      #expect(scene.lines("code=4000").count == 1)
    }
  }

  @Test func `a stop ends the stream with the time after which its client comes again`() async throws {
    try await serving { scene in
      let client = try open(scene)
      let reports = scene.stop()
      scene.settle()
      #expect(client.plain() == "retry: 1000\n\n")
      #expect(client.isOver)
      #expect(reports.count == 0)
      client.hangUp()
      scene.settle()
      #expect(reports.count == 1)
      #expect(scene.lines("code=1012").count == 1)
    }
  }
}
