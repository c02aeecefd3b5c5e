import ChannelLayers
import GatewayTestSupport
import Glibc
import LayerTestSupport
import Logging
import TestSupport
import Testing

@testable import Gateway
@testable import GatewayConfig
@testable import Sessions

struct TakeOverTests {
  private static func configuration(_ routes: String) throws -> Configuration {
    try ConfigurationLoader.configuration(
      of: """
        installed_apps: [echo, broadcast]
        channel_layers: {default: {backend: memory}}
        applications: {main: {websocket: [\(routes)]}}
        """
    ).onAnyPort
  }

  private static let echo = "{path: ws/, consumer: echo}"

  @Test(.timeLimit(.minutes(1)))
  func `sessions that cannot be read are closed, and told`() async throws {
    let (handed, client) = socketPair()
    defer { close(client) }
    var record = GatewayRecord()
    record.workers = [[0xFF, 0xFF, 0xFF]]
    record.connections = [HandedConnections(sessions: 1, descriptors: [handed])]
    let lines = LogLines()
    let server = GatewayServer(
      try Self.configuration(Self.echo), log: lines.log, takingOver: HandedRecord(record))
    try await server.serving { _ in
      var byte: UInt8 = 0
      #expect(unsafe read(client, &byte, 1) == 0)
    }
    #expect(lines.all.contains { $0.contains("sessions are cut off by the upgrade") }, "\(lines.all)")
  }

  @Test func `what was handed over is given up once the gateway goes on with it`() async throws {
    var record = GatewayRecord()
    record.upgrades = 3
    let handed = HandedRecord(record)
    let server = GatewayServer(try Self.configuration(Self.echo), log: .quiet, takingOver: handed)
    #expect(handed.record?.upgrades == 3)
    try await server.serving { _ in #expect(handed.record == nil) }
    #expect(server.upgrades == 3)
  }

  @Test func `a layer that no route uses after an upgrade begins anew when one does again`() async throws {
    let news =
      "\(Self.echo), {path: news/, consumer: broadcast, group: news, history: {messages: 10}}"
    let (with, without) = (try Self.configuration(news), try Self.configuration(Self.echo))
    func layers(_ states: [LayerState], _ first: Configuration) async throws -> LayerState {
      let layers = GatewayLayers(first, resuming: states, log: .quiet) {}
      var (served, _) = layers.layers(for: first, after: nil)
      layers.run()
      if served.all.isEmpty { (served, _) = layers.layers(for: with, after: served) }
      return try #require(await layers.states(of: served).first)
    }
    let before = try await layers([], with)
    #expect(try await layers([before], with).secret == before.secret)
    #expect(try await layers([before], without).secret != before.secret)
  }
}
