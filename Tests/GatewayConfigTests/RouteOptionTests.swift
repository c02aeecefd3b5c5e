import LayerTestSupport
import Testing

@testable import GatewayConfig

/// The first WebSocket route of a file with these keys beside its path.
private func route(_ keys: String, preset: String = "consumer: echo") throws -> LoadedConfiguration {
  let routes = """
    installed_apps: [echo, chat, proxy, ./app]
    channel_layers: {default: {backend: memory}}
    auth: {users: {jwt: {secret: {env: SECRET}}}}
    applications: {main: {websocket: [{path: a/, \(keys)}]}}
    """
  return ConfigurationLoader.load(
    path: "routes.yaml", environment: ["SECRET": String(repeating: "s", count: 32)],
    files: MemoryFiles([
      "routes.yaml": routes, "app/app.yaml": "consumers: {one: {\(preset)}}",
    ]))
}

struct RouteOptionTests {
  @Test func `an option has its standard where it is not written`() throws {
    let loaded = try #require(try route("consumer: chat, group: news").configuration)
    let options = loaded.served.webSocketRoutes[0].options
    #expect(!options[.identity] && !options[.presence])
    #expect(options.explained.isEmpty)
  }

  @Test func `an option reaches the route and its group, and explain tells of it`() throws {
    let loaded = try #require(
      try route("consumer: chat, group: news, auth: users, identity: true").configuration)
    let route = loaded.served.webSocketRoutes[0]
    #expect(route.options[.identity] && route.consumer.group?.showsUser == true)
    #expect(route.options.explained.map(\.name) == ["identity"])
    #expect(route.options.explained.map(\.text) == ["messages name the user who sent them"])
  }

  @Test func `an option of a route goes before that of its preset`() throws {
    let preset = "consumer: chat, group: news, presence: true"
    for (keys, isOn) in [("consumer: app.one", true), ("consumer: app.one, presence: false", false)] {
      let loaded = try #require(try route(keys, preset: preset).configuration)
      #expect(loaded.served.webSocketRoutes[0].options[.presence] == isOn)
    }
  }

  @Test func `a time has its unit and its range`() throws {
    let proxy = "consumer: proxy, to: \"ws://127.0.0.1:1\", connect_timeout: "
    let loaded = try #require(try route(proxy + "2s").configuration)
    #expect(loaded.served.webSocketRoutes[0].consumer.upstream?.connectTimeout == .seconds(2))
    #expect(loaded.served.webSocketRoutes[0].options.explained.map(\.text) == ["2s"])
    for (value, code) in [("2", FindingCode.missingUnit), ("1ms", .outOfRange), ("true", .invalidValue)] {
      #expect(try route(proxy + value).report.findings.map(\.code) == [code], "\(value)")
    }
  }

  @Test func `an option that the consumer does not have is one finding, whatever its value`() throws {
    let found = try route("consumer: echo, identity: 5").report.findings
    #expect(found.map(\.message) == ["the consumer \"echo\" has no option \"identity\""])
  }
}
