import LayerTestSupport
import Routing
import Testing

@testable import GatewayConfig

private func route(_ options: String) throws -> WebSocketRoute {
  try #require(
    try ConfigurationLoader.configuration(
      of: """
        installed_apps: [view]
        channel_layers: {default: {backend: memory}}
        applications:
          main:
            websocket:
              - {path: "ws/<int:room>/<path:rest>", consumer: view, unsigned: true, \(options)}
        """
    ).served.webSocketRoutes.first)
}

struct ViewConfigurationTests {
  @Test func `a view has what holds where the file says nothing`() throws {
    let route = try route(#"url: "unix:/run/app.sock:/ws/{room}/{rest}?k={room}""#)
    let view = try #require(route.consumer.view)
    #expect(view.question.shownURL == "unix:/run/app.sock:/ws/{room}/{rest}?k={room}")
    #expect(view.question.timeout == .seconds(5) && view.question.headers.isEmpty)
    #expect(view.question.url.hostHeader == .keep && view.question.url.idleTimeout == .seconds(1))
    #expect(view.isUnsigned && view.secrets.isEmpty)
    #expect(view.on == [.connect, .receive] && view.alive == nil)
    #expect(view.batch == 1 && view.order == .session && view.inFlight == 8)
    #expect(view.onFailure == .wait && !view.repeatsReceive && view.wire == .json)
    #expect(view.longCaptures == ["rest"])
    let groups = try #require(route.consumer.group)
    #expect(groups.templates.isEmpty && !groups.takesMessages && groups.fromView == nil)
  }

  @Test func `all options arrive`() throws {
    let options = """
      url: "unix:/run/app.sock", host: upstream, headers: [Cookie, X-Own], timeout: 2s, idle_timeout: 4s,
                 connect_timeout: 3s, on: [connect, receive, disconnect], alive: 1m, batch: 10, in_flight: 16, on_failure: reply,
                 retry: true, protocol: json, groups_from_view: ["room_<int:id>"], group: [a, b]
      """
    let route = try route(options)
    let view = try #require(route.consumer.view)
    let url = view.question.url
    #expect(
      url.hostHeader == .upstream && url.idleTimeout == .seconds(4) && url.connectTimeout == .seconds(3))
    #expect(view.question.headers == ["cookie", "x-own"] && view.question.timeout == .seconds(2))
    #expect(view.on == [.connect, .receive, .disconnect] && view.alive == .seconds(60))
    #expect(view.batch == 10 && view.inFlight == 16 && view.onFailure == .reply && view.repeatsReceive)
    #expect(view.wire == .json)
    let groups = try #require(route.consumer.group)
    #expect(groups.text == "a, b" && groups.fromView?.text == "room_<int:id>" && !groups.takesMessages)
    #expect(try #require(try self.order()).order == .none)
  }

  private func order() throws -> ViewConfiguration? {
    try route(#"url: "unix:/run/app.sock", order: none"#).consumer.view
  }
}
