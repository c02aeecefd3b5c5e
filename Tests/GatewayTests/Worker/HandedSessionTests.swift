import Bytes
import LayerTestSupport
import TestSupport
import Testing
import WebSocketCore

@testable import Gateway
@testable import GatewayConfig
@testable import Sessions
@testable import Transport

private let application = """
  installed_apps: [chat]
  channel_layers: {default: {backend: memory}}
  logging: {sessions: true}
  limits: {ping: 5s}
  applications:
    main:
      http:
        - {path: events/, events: {group: room, heartbeat: 5s}}
      websocket:
        - {path: ws/reply/, consumer: chat, group: room, limits: {rate: {messages: 2/s burst 3, over: reply}}}
        - {path: ws/wait/, consumer: chat, group: room, limits: {rate: {messages: 2/s burst 3, over: wait}}}
  """

/// Sessions of one program that go on in another one.
struct HandedSessionTests {
  private static let message = #"{"message": "x"}"#

  /// What a worker hands over: clients that were asked whether they live, one that has sent too much, one that is closing, and a stream.
  private func record(of scene: TurnedWorker) throws -> [UInt8] {
    let (reply, wait) = (try scene.open("/ws/reply/"), try scene.open("/ws/wait/"))
    for client in [reply, wait] { for _ in 0..<5 { client.text(Self.message) } }
    scene.settle()
    _ = try scene.open("/ws/reply/")
    (scene.worker.sessions.live.last as? Session)?.close(.slowReader)
    let stream = try scene.ask("GET /events/ HTTP/1.1\r\nHost: a\r\n\r\n")
    stream.send("nobody asked for this")
    _ = try scene.open("/ws/reply/")
    // The pings come, and the answer to the close frame does not.
    scene.pass(.seconds(1), times: 4)
    wait.send((0..<5).flatMap { _ in wait.frame(.text, Array(Self.message.utf8)) })
    scene.pass(.milliseconds(500))
    let part = scene.worker.sessions.handedPart()
    #expect(part.sessions == 5 && part.left == 0)
    for session in scene.worker.sessions.live { session.abandon() }
    scene.settle()
    return Array(part.record.joined())
  }

  /// Has all sessions go on, each with another client, that has sent something, for some time and up to their end.
  private func goOn(_ state: WorkerState, from routes: HandedRoutes, in scene: TurnedWorker) {
    var state = state
    var clients: [TestPeer] = []
    for index in state.sessions.indices {
      let (own, other) = socketPair()
      let client = TestPeer(other, isClient: true)
      clients.append(client)
      state.sessions[index].connection.descriptor = own
      state.sessions[index].connection.unread = client.frame(.text, Array(Self.message.utf8))
    }
    _ = scene.worker.sessions.take([state], from: routes)
    scene.worker.sessions.goOnWithTaken()
    scene.pass(.seconds(2), times: 6)
    for session in scene.worker.sessions.live { session.abandon() }
    scene.settle()
    #expect(scene.sessions == 0)
  }

  @Test func `the answer to a close frame is read by whoever goes on, also where the client was not read`()
    async throws
  {
    let routes = HandedRoutes(try ConfigurationLoader.configuration(of: application))
    try await TurnedWorker.serving(application) { scene in
      _ = try scene.open("/ws/reply/")
      let session = try #require(scene.worker.sessions.live.last as? Session)
      session.close(.slowReader)
      scene.settle()
      session.connection.pauseReading()
      let record = Array(scene.worker.sessions.handedPart().record.joined())
      session.abandon()
      scene.settle()
      var state = try RecordReader.read(record[...], as: WorkerState.self)
      let (own, other) = socketPair()
      let client = TestPeer(other, isClient: true)
      state.sessions[0].connection.descriptor = own
      _ = scene.worker.sessions.take([state], from: routes)
      scene.worker.sessions.goOnWithTaken()
      client.close(1000)
      scene.settle()
      #expect(client.heard() == ["end"])
      client.hangUp()
      scene.settle()
      #expect(scene.sessions == 0)
    }
  }

  @Test func `whatever numbers a record has, it is refused, or its sessions go on`() async throws {
    let routes = HandedRoutes(try ConfigurationLoader.configuration(of: application))
    try await TurnedWorker.serving(application) { scene in
      let record = try record(of: scene)
      var taken = 0
      for number in [UInt64.max, UInt64(Int64.max), UInt64(Int64.max) / 2] {
        for changed in changes(of: record[...], to: number) {
          guard let state = try? RecordReader.read(changed[...], as: WorkerState.self) else { continue }
          goOn(state, from: routes, in: scene)
          taken += 1
        }
      }
      #expect(taken > 50)
    }
  }
}

/// The record with one of its numbers, or of those in the records inside of it, changed to another one: each in turn.
private func changes(of record: ArraySlice<UInt8>, to number: UInt64) -> [[UInt8]] {
  guard let fields = fields(of: record) else { return [] }
  return fields.indices.flatMap { index in
    let others: [RecordField.Value] =
      switch fields[index].value {
      case .number: [.number(number)]
      case .bytes(let bytes): changes(of: bytes, to: number).map { .bytes($0[...]) }
      }
    return others.map { other in
      var changed = fields
      changed[index].value = other
      return bytes(of: changed)
    }
  }
}

/// Nil for what is no record, such as most texts.
private func fields(of record: ArraySlice<UInt8>) -> [RecordField]? {
  var reader = RecordReader(record)
  var fields: [RecordField] = []
  do throws(RecordedFault) {
    while let field = try reader.next() { fields.append(field) }
  } catch {
    return nil
  }
  return fields
}

private func bytes(of fields: [RecordField]) -> [UInt8] {
  var writer = RecordWriter()
  for field in fields {
    switch field.value {
    case .number(let number): writer.addAlways(field.number, number)
    case .bytes(let bytes): writer.addAlways(field.number, Array(bytes))
    }
  }
  return writer.bytes
}
