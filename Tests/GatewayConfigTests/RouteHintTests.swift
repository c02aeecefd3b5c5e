import LayerTestSupport
import Testing

@testable import GatewayConfig
@testable import Routing

struct RouteHintTests {
  private func application() throws -> ApplicationConfiguration {
    let text = """
      installed_apps: [chat, echo]
      channel_layers: {default: {backend: memory}}
      applications:
        main:
          http: [{path: "events/<slug:topic>/", events: "news_{topic}", name: news}]
          websocket:
            - {path: "ws/chat/<slug:room>/", consumer: chat, group: "chat_{room}", name: chat, presence: true}
            - {path: "ws/quiet/<slug:room>/", consumer: chat, group: "quiet_{room}", name: quiet}
            - {path: "ws/n/<int:number>/", consumer: echo, name: numbered}
      """
    let loaded = ConfigurationLoader.load(
      path: "routes.yaml", environment: [:], files: MemoryFiles(text: text))
    #expect(loaded.report.findings == [])
    return try #require(loaded.configuration).served
  }

  private static let long = String(repeating: "a", count: 100)

  @Test(
    arguments: [
      ("/ws/chat/my%20room/", "<slug:room> of the route \"chat\" takes letters, digits, \"-\" and \"_\""),
      ("/ws/n/abc/", "<int:number> of the route \"numbered\" takes digits"),
      ("/ws/chat/room", "with a \"/\" at its end the path is one of the route \"chat\""),
      (
        "/ws/chat/\(long)/",
        "the group \"chat_{room}\" of the route \"chat\" has no valid name for this path: 1 to 99 of A-Z a-z 0-9 . _ -"
      ),
      (
        "/events/\(long)/",
        "the group \"news_{topic}\" of the route \"news\" has no valid name for this path: 1 to 99 of A-Z a-z 0-9 . _ -"
      ), ("/ws/chat/room/", nil), ("/nothing/", nil),
    ] as [(String, String?)])
  func `a path that nothing answers has a hint of the nearest route`(_ target: String, _ hint: String?) throws
  {
    #expect(try application().webSocketRouteHint(Array(target.utf8)) == hint)
  }

  @Test func `a group has presence if a route with presence may name it`() throws {
    let application = try application()
    #expect(application.keepsPresence(of: "chat_lobby"))
    for group in ["quiet_lobby", "news_a", "other"] {
      #expect(!application.keepsPresence(of: group), "\(group)")
    }
  }

  @Test(
    arguments: [
      ("http://localhost:5173", "http://localhost:5173", true), ("null", "null", false), (nil, "none", true),
      ("http://a/\"b", "http://a/\"b", false), ("http://" + String(repeating: "a", count: 300), nil, false),
    ] as [(String?, String?, Bool)])
  func `a refused origin comes with what to write`(_ origin: String?, _ shown: String?, _ hasHint: Bool) {
    let facts = OriginPolicy.facts(origin: origin, host: "b")
    if let shown { #expect(facts["origin"] == shown) }
    #expect(facts["host"] == "b")
    #expect((facts["hint"] != nil) == hasHint)
    if let origin, hasHint { #expect(facts["hint"]?.contains("allowed_hosts: [\"\(origin)\"]") == true) }
  }
}
