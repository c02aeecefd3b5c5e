import Testing

@testable import GatewayConfig

/// Two lists of WebSocket routes, and what is different.
struct RoutePair: Sendable, CustomTestStringConvertible {
  var old: [String]
  var new: [String]
  var lines: [String]

  init(_ old: [String], _ new: [String], _ lines: [String]) {
    self.old = old
    self.new = new
    self.lines = lines
  }

  var testDescription: String { "\(old) -> \(new)" }
}

private let chat = "path: \"ws/<slug:room>/\", consumer: chat, group: \"chat_{room}\""

struct ConfigurationComparisonTests {
  @Test(arguments: [
    RoutePair(["path: a/, consumer: echo"], ["path: a/, consumer: echo"], []),
    RoutePair(["path: a/, consumer: echo"], ["path: \"a/\", consumer: echo, refusals: http"], []),
    // Another notation of the same paths.
    RoutePair(
      [chat], ["re_path: '^ws/(?P<room>[-a-zA-Z0-9_]+)/$', consumer: chat, group: 'chat_{room}'"], []),
    RoutePair(
      ["path: ws/, routes: [{path: a/, consumer: echo}]"], ["re_path: '^ws/+a/$', consumer: echo"], []),
    // The order has no effect.
    RoutePair(
      ["path: a/, consumer: echo", "path: b/, consumer: echo"],
      ["path: b/, consumer: echo", "path: a/, consumer: echo"], []),
    // Another name of a capture.
    RoutePair(
      [chat], ["path: \"ws/<slug:name>/\", consumer: chat, group: \"chat_{name}\""],
      ["changed /ws/<slug:name>/ at /ws/a/: group"]),
    RoutePair(
      ["path: a/, consumer: echo"], ["path: a/, consumer: echo, name: first"],
      ["changed first (/a/) at /a/: name"]),
  ])
  func `what means the same is no difference`(_ pair: RoutePair) throws {
    try check(pair)
  }

  @Test(arguments: [
    RoutePair([], ["path: a/, consumer: echo"], ["added /a/ at /a/"]),
    RoutePair(["path: a/, consumer: echo"], [], ["removed /a/ at /a/: closes 1012"]),
    // More and fewer paths of the same route.
    RoutePair(
      ["path: \"<int:x>/\", consumer: echo"], ["path: \"<slug:x>/\", consumer: echo"],
      ["added /<slug:x>/ at /a/"]),
    RoutePair(
      ["path: \"<slug:x>/\", consumer: echo"], ["path: \"<int:x>/\", consumer: echo"],
      ["removed /<slug:x>/ at /a/: closes 1012"]),
    // A more special route in front takes paths.
    RoutePair(
      ["path: \"<slug:x>/\", consumer: echo"],
      ["path: new/, consumer: echo", "path: \"<slug:x>/\", consumer: echo"],
      ["moved /<slug:x>/ -> /new/ at /new/"]),
    RoutePair(
      ["path: \"<slug:x>/\", consumer: echo", "path: b/c/, consumer: echo"],
      ["path: b/c/, consumer: echo", "path: \"<slug:x>/\", consumer: echo"], []),
  ])
  func `paths that come and go are shown with an example`(_ pair: RoutePair) throws {
    try check(pair)
  }

  @Test(arguments: [
    RoutePair(
      [chat], [chat + ", limits: {message: 2KiB}"], ["changed /ws/<slug:room>/ at /ws/a/: limits.message"]),
    RoutePair(
      [chat], [chat + ", limits: {rate: {messages: 10/s}}"],
      ["changed /ws/<slug:room>/ at /ws/a/: limits.rate"]
    ),
    RoutePair(
      [chat], [chat + ", events: {x: event}"], ["changed /ws/<slug:room>/ at /ws/a/: events"]),
    RoutePair(
      [chat], ["path: \"ws/<slug:room>/\", consumer: chat, group: \"room_{room}\""],
      ["changed /ws/<slug:room>/ at /ws/a/: group; closes 1012"]),
    RoutePair(
      [chat], ["path: \"ws/<slug:room>/\", consumer: echo"],
      ["changed /ws/<slug:room>/ at /ws/a/: consumer; closes 1012"]),
    RoutePair(
      [chat], [chat + ", auth: users"], ["changed /ws/<slug:room>/ at /ws/a/: auth; closes 4401"]),
    RoutePair(
      [chat + ", auth: users, auth_optional: true"], [chat],
      ["changed /ws/<slug:room>/ at /ws/a/: auth; auth_optional; closes 1012 some"]),
    RoutePair(
      [chat], [chat + ", presence: true"],
      ["changed /ws/<slug:room>/ at /ws/a/: presence; closes 1012"]),
    // Who is known ends for other rights, and who is not for other groups.
    RoutePair(
      [chat + ", auth: users, auth_optional: true"],
      ["path: \"ws/<slug:room>/\", consumer: chat, group: \"room_{room}\""],
      ["changed /ws/<slug:room>/ at /ws/a/: auth; auth_optional; group; closes 1012 some; closes 1012 some"]),
    RoutePair(
      [chat + ", allowed_hosts: ['a.example', 'b.example']"], [chat + ", allowed_hosts: ['a.example']"],
      ["changed /ws/<slug:room>/ at /ws/a/: allowed_hosts; closes 4403 some"]),
    RoutePair(
      [chat + ", allowed_hosts: ['a.example']"], [chat + ", allowed_hosts: ['a.example', 'b.example']"],
      ["changed /ws/<slug:room>/ at /ws/a/: allowed_hosts"]),
    RoutePair(
      [chat + ", subscribe: ['x_*']"], [chat + ", subscribe: ['x_*', 'y_*']"],
      ["changed /ws/<slug:room>/ at /ws/a/: subscribe"]),
    RoutePair(
      [chat + ", subscribe: ['x_*', 'y_*']"], [chat + ", subscribe: ['x_*']"],
      ["changed /ws/<slug:room>/ at /ws/a/: subscribe; closes 1012 some"]),
  ])
  func `what clients are told depends on what differs`(_ pair: RoutePair) throws {
    try check(pair)
  }

  private func check(_ pair: RoutePair) throws {
    let comparison = try ConfigurationComparison(PlanFile(webSocket: pair.old), PlanFile(webSocket: pair.new))
    #expect(comparison.lines == pair.lines)
    #expect(comparison.isComplete)
  }

  @Test func `captures in another order are other groups`() throws {
    let old = "path: \"ws/<slug:a>/<slug:b>/\", consumer: chat, group: \"c.{a}.{b}\""
    let new = "path: \"ws/<slug:b>/<slug:a>/\", consumer: chat, group: \"c.{a}.{b}\""
    let comparison = try ConfigurationComparison(PlanFile(webSocket: [old]), PlanFile(webSocket: [new]))
    #expect(comparison.lines == ["changed /ws/<slug:b>/<slug:a>/ at /ws/a/a/: closes 1012 some"])
    // With the names changed, too, they are the same.
    let renamed = "path: \"ws/<slug:b>/<slug:a>/\", consumer: chat, group: \"c.{b}.{a}\""
    let same = try ConfigurationComparison(PlanFile(webSocket: [old]), PlanFile(webSocket: [renamed]))
    #expect(!same.closesSessions)
  }

  @Test(arguments: [
    (
      ["path: a/, respond: {status: 200}"], ["path: a/, respond: {status: 404}"],
      ["changed /a/ at /a/: status"]
    ),
    (
      ["path: a/, respond: {status: 200}"], ["path: a/, redirect: /b/"],
      ["changed /a/ at /a/: action"]
    ),
    (["path: a/, redirect: /b/"], ["path: a/, redirect: /c/"], ["changed /a/ at /a/: redirect"]),
    (
      ["path: a/, proxy: \"http://127.0.0.1:1\""], ["path: a/, proxy: \"http://127.0.0.1:2\""],
      ["changed /a/ at /a/: proxy"]
    ),
    (
      ["path: a/, proxy: \"http://127.0.0.1:1\""],
      ["path: a/, proxy: {to: \"http://127.0.0.1:1\", read_timeout: 5s}"],
      ["changed /a/ at /a/: read_timeout"]
    ),
    (
      ["path: a/, publish: {groups: ['x_*'], token: {env: TOKEN}}"],
      ["path: a/, publish: {groups: ['x_*'], token: {env: SECOND}}"], ["changed /a/ at /a/: token"]
    ),
    (
      ["path: a/, events: news"], ["path: a/, events: {group: news, heartbeat: 5s}"],
      ["changed /a/ at /a/: heartbeat"]
    ),
    // Whoever reads a stream goes on reading, also without cookies.
    (
      ["path: a/, events: news, allowed_hosts: [a.example]"],
      ["path: a/, events: news, allowed_hosts: ['*']"],
      ["changed /a/ at /a/: allowed_hosts"]
    ),
    (["path: a/, events: news"], ["path: a/, events: old"], ["changed /a/ at /a/: group; closes 1012"]),
    (
      ["path: a/, events: news"], ["path: a/, health: live"],
      ["changed /a/ at /a/: action; closes 1012"]
    ),
  ])
  func `an HTTP route says what differs`(_ old: [String], _ new: [String], _ lines: [String]) throws {
    let comparison = try ConfigurationComparison(PlanFile(http: old), PlanFile(http: new))
    #expect(comparison.lines == lines)
  }

  @Test func `settings say what they need, and nothing needs nothing`() throws {
    let old = PlanFile(webSocket: [chat], top: ["server: {threads: 2}", "limits: {connections: 10}"])
    let new = PlanFile(webSocket: [chat], top: ["server: {threads: 3}", "limits: {connections: 20}"])
    let comparison = try ConfigurationComparison(old, new)
    #expect(comparison.lines.sorted() == ["limits.connections needs reload", "server.threads needs upgrade"])
    #expect(comparison.need == .upgrade)
    #expect(try ConfigurationComparison(old, old).need == nil)
  }

  @Test func `the history of a group that two routes have is told once`() throws {
    func file(_ messages: Int) -> PlanFile {
      let keys = "consumer: broadcast, group: news, history: {messages: \(messages)}"
      return PlanFile(webSocket: ["path: a/, \(keys)", "path: b/, \(keys)"])
    }
    let comparison = try ConfigurationComparison(file(10), file(20))
    #expect(comparison.settings.map(\.key) == ["channel_layers.default"])
  }

  @Test func `exit codes tell nothing, a change, and a close or something looser`() throws {
    func code(_ old: String, _ new: String) throws -> Int32 {
      let comparison = try ConfigurationComparison(PlanFile(webSocket: [old]), PlanFile(webSocket: [new]))
      return Plan(comparison, old: "a", new: "b").exitCode
    }
    #expect(try code(chat, chat) == 0)
    #expect(try code(chat, chat + ", limits: {message: 2KiB}") == 3)
    #expect(try code(chat, chat + ", auth: users") == 4)
    #expect(try code(chat, chat + ", allowed_hosts: ['*']") == 4)
  }
}
