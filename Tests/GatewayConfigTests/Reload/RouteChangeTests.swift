import LayerTestSupport
import Routing
import Testing

@testable import GatewayConfig

/// What is known of a client in a test.
private struct Client: LivingClient {
  var isAnonymous = true
  var isAwaitingToken = false
  var origin: String? = "https://a.example"
  var groups = ["chat_lobby"]
  var joined: [String] = []
  /// Of its path by the new route.
  var captures = Captures([.init(name: "room", value: "lobby")])

  func isAdmitted(by origins: OriginPolicy) -> Bool {
    origins.allows(origin: origin, host: "a.example", isSecure: true)
  }

  func isInGroups(of configuration: GroupConfiguration) -> Bool {
    (try? configuration.names(for: captures) { _ in nil }.get()) == groups
  }

  func mayKeepJoined(by groups: GroupConfiguration) -> Bool {
    joined.allSatisfy { name in groups.subscribe.contains { $0.matches(name) } }
  }
}

private let secret = String(repeating: "k", count: 64)
private let chat = #"{path: "ws/<slug:room>/", consumer: chat, group: "chat_{room}"}"#

/// - Parameters:
///   - route: the first WebSocket route.
///   - either: where tokens of the entry with this name may be.
private func configuration(_ route: String, either: String = "header, message") throws -> Configuration {
  try ConfigurationLoader.configuration(
    of: """
      installed_apps: [echo, chat, broadcast, proxy, view]
      channel_layers: {default: {backend: memory}, other: {backend: memory}}
      auth:
        users: {jwt: {secret: "\(secret)"}}
        late: {jwt: {secret: "\(secret)", from: [message]}}
        either: {jwt: {secret: "\(secret)", from: [\(either)]}}
        site: {callback: {url: "http://127.0.0.1:1/me/"}}
        often: {callback: {url: "http://127.0.0.1:1/me/", recheck: 1m}}
      applications: {main: {websocket: [\(route)]}}
      """)
}

/// - Parameter either: of the second file.
private func change(
  _ old: String, _ new: String, either: String = "header, message"
) throws -> RouteChange {
  let (old, new) = (try configuration(old), try configuration(new, either: either))
  return RouteChange(
    from: old.served.clientRoutes(of: old)[0], to: new.served.clientRoutes(of: new)[0])
}

/// The route with more keys.
private func with(_ keys: String, _ route: String = chat) -> String { route.dropLast() + ", \(keys)}" }

struct RouteChangeTests {
  /// Old route, new route, and what becomes of an anonymous client of `chat` in `chat_lobby`.
  private static let ofChat: [(old: String, new: String, verdict: ClientVerdict)] = [
    (chat, chat, .stays),
    (chat, with("name: other"), .stays),
    // Another text for the same captures: the group is the same.
    (chat, #"{re_path: "^ws/(?P<room>[a-z]+)/$", consumer: chat, group: "chat_{room}"}"#, .stays),
    (chat, with("limits: {message: 8KiB}"), .changes(["limits"])),
    (chat, with("limits: {ping: none}"), .changes(["limits"])),
    (chat, with("events: {a: event}"), .changes(["events"])),
    (chat, with("compression: true"), .changes(["compression"])),
    (chat, with("subprotocols: [v1]"), .changes(["subprotocols"])),
    (chat, with("envelope: true"), .changes(["envelope"])),
    (chat, with("refusals: close"), .changes(["refusals"])),
    (chat, with("history: {messages: 5}"), .changes(["history"])),
    (chat, with("subscribe: [ticker_a]"), .changes(["subscribe"])),
    (chat, with("allowed_hosts: [a.example]"), .changes(["allowed_hosts"])),
    (chat, with("allowed_hosts: [b.example]"), .closes(.originRefused)),
    (chat, with("auth: users, auth_optional: true"), .changes(["auth", "auth_optional"])),
    (
      chat, with("auth: users, auth_optional: true, permission: {url: \"http://127.0.0.1:9/may/\"}"),
      .closes(.rightsChanged)
    ),
    (chat, with("auth: users"), .closes(.loginNeeded)),
    (with("auth: users, auth_optional: true"), with("auth: users"), .closes(.loginNeeded)),
    (with("auth: users, auth_optional: true"), chat, .changes(["auth", "auth_optional"])),
    (chat, with("presence: true"), .closes(.groupsChanged)),
    (chat, with("channel_layer: other"), .closes(.layerChanged)),
    (chat, #"{path: "ws/<slug:room>/", consumer: chat, group: "room_{room}"}"#, .closes(.groupsChanged)),
    (
      chat, #"{path: "ws/<slug:room>/", consumer: chat, group: [other, "chat_{room}"]}"#,
      .closes(.groupsChanged)
    ),
    (
      chat, #"{path: "ws/<slug:room>/", consumer: broadcast, group: "chat_{room}"}"#,
      .closes(.consumerChanged)
    ),
    (chat, #"{path: "ws/<slug:room>/", consumer: echo}"#, .closes(.consumerChanged)),
    // Who may not be there is not asked to come back.
    (
      chat, with("allowed_hosts: [b.example]", #"{path: "ws/<slug:room>/", consumer: echo}"#),
      .closes(.originRefused)
    ),
  ]

  @Test(arguments: ofChat)
  func `an anonymous client goes on, takes options on, or ends`(
    _ row: (old: String, new: String, verdict: ClientVerdict)
  ) throws {
    let change = try change(row.old, row.new)
    #expect(change.verdict(of: Client()) == row.verdict)
    #expect(change.outcomes.contains(row.verdict))
  }

  /// The same for a client that is known.
  private static let ofUsers: [(old: String, new: String, verdict: ClientVerdict)] = [
    (with("auth: users"), with("auth: users"), .stays),
    (with("auth: users"), with("auth: users, auth_optional: true"), .changes(["auth_optional"])),
    (with("auth: users"), with("auth: users, require: {role: admin}"), .changes(["require"])),
    (with("auth: users"), with("auth: site"), .closes(.loginNeeded)),
    (with("auth: users"), chat, .closes(.rightsChanged)),
    (with("auth: users, auth_optional: true"), chat, .closes(.rightsChanged)),
    (
      with("auth: users"), with(#"auth: users, permission: {url: "http://127.0.0.1:1/may/"}"#),
      .closes(.rightsChanged)
    ),
    (
      with(#"auth: users, permission: {url: "http://127.0.0.1:1/may/"}"#), with("auth: users"),
      .changes(["permission"])
    ),
    (
      with(#"auth: users, permission: {url: "http://127.0.0.1:1/may/"}"#),
      with(#"auth: users, permission: {url: "http://127.0.0.1:1/other/"}"#), .closes(.rightsChanged)
    ),
  ]

  @Test(arguments: ofUsers)
  func `a client that is known goes on as long as it would be known`(
    _ row: (old: String, new: String, verdict: ClientVerdict)
  ) throws {
    let change = try change(row.old, row.new)
    #expect(change.verdict(of: Client(isAnonymous: false)) == row.verdict)
    #expect(change.outcomes.contains(row.verdict))
  }

  @Test func `a client whose path leads nowhere ends`() throws {
    let old = try configuration(chat)
    let change = RouteChange(from: old.served.clientRoutes(of: old)[0], to: nil)
    #expect(change.verdict(of: Client()) == .closes(.routeGone))
    #expect(!change.isContinued)
  }

  @Test func `a client that awaits its first token goes on where it can still show it`() throws {
    let awaiting = Client(isAwaitingToken: true, groups: [])
    let late = with("auth: late")
    #expect(
      try change(late, with("auth: late, limits: {ping: 9s}")).verdict(of: awaiting) == .changes(["limits"]))
    #expect(try change(late, with("auth: users")).verdict(of: awaiting) == .closes(.loginNeeded))
  }

  /// Two routes, what becomes of a client that awaits its first token, and all that can become of clients.
  private static let ofAwaiting: [(old: String, new: String, verdict: ClientVerdict, all: [ClientVerdict])] =
    [
      // No token is asked for any more: the client comes back without one.
      (with("auth: late"), chat, .closes(.rightsChanged), [.closes(.rightsChanged)]),
      (
        with("auth: late"), #"{path: "ws/<slug:room>/", consumer: echo}"#, .closes(.consumerChanged),
        [.closes(.consumerChanged)]
      ),
      (
        with("auth: late, auth_optional: true"), chat, .closes(.rightsChanged),
        [.closes(.rightsChanged), .changes(["auth", "auth_optional"])]
      ),
      (
        with("auth: late"), with("auth: users, auth_optional: true"), .closes(.loginNeeded),
        [.closes(.loginNeeded)]
      ),
    ]

  @Test(arguments: ofAwaiting)
  func `what becomes of a client that awaits its first token is foreseen`(
    _ row: (old: String, new: String, verdict: ClientVerdict, all: [ClientVerdict])
  ) throws {
    let change = try change(row.old, row.new)
    #expect(change.verdict(of: Client(isAwaitingToken: true, groups: [])) == row.verdict)
    #expect(change.outcomes == row.all)
  }

  @Test func `clients that still owe their first token end where messages have none any more`() throws {
    let route = with("auth: either")
    let narrowed = try change(route, route, either: "header")
    #expect(narrowed.verdict(of: Client(isAwaitingToken: true, groups: [])) == .closes(.loginNeeded))
    #expect(narrowed.verdict(of: Client(isAnonymous: false)) == .changes(["auth"]))
    #expect(narrowed.outcomes == [.closes(.loginNeeded), .changes(["auth"])])
    #expect(try change(route, route).outcomes == [.stays])
  }

  @Test func `views are not asked again about clients of whom nothing was kept`() throws {
    let known = Client(isAnonymous: false)
    let (once, often) = (with("auth: site"), with("auth: often"))
    #expect(try change(often, often).verdict(of: known) == .stays)
    // Another entry, so the client logs in anew in any case.
    #expect(try change(once, often).verdict(of: known) == .closes(.loginNeeded))
  }

  @Test func `what a client has joined has to be among what it may join`() throws {
    let (old, new) = (with("subscribe: [a, b]"), with("subscribe: [a]"))
    let change = try change(old, new)
    #expect(change.verdict(of: Client(joined: ["a"])) == .changes(["subscribe"]))
    #expect(change.verdict(of: Client(joined: ["b"])) == .closes(.rightsChanged))
    #expect(change.outcomes == [.closes(.rightsChanged), .changes(["subscribe"])])
  }

  @Test func `a proxied client stays with its upstream`() throws {
    func proxy(_ to: String, _ more: String = "") -> String {
      #"{path: ws/, consumer: proxy, to: "\#(to)"\#(more)}"#
    }
    let old = proxy("ws://127.0.0.1:1/")
    #expect(
      try change(old, proxy("ws://127.0.0.1:1/", ", connect_timeout: 9s")).verdict(of: Client())
        == .changes(["connect_timeout"]))
    #expect(try change(old, proxy("ws://127.0.0.1:2/")).verdict(of: Client()) == .closes(.consumerChanged))
  }

  @Test func `places in the file make no difference`() throws {
    let route = with(
      "receive: {by: type, kinds: {say: {event: {type: said, text: \"{frame.text}\"}}}, else: error}")
    #expect(try change(route, "\n      " + route).verdict(of: Client()) == .stays)
  }
}
