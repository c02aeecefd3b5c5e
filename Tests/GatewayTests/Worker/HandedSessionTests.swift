import Bytes
import LayerTestSupport
import TestSupport
import Testing

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
}
