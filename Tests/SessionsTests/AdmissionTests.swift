import ChannelLayers
import Consumers
import GatewayConfig
import JSON
import LayerTestSupport
import NIOPosix
import Testing
import Transport
import WebSocketCore

@testable import Sessions

private let yaml = """
  installed_apps: [echo, chat, proxy, view]
  channel_layers: {default: {backend: memory}}
  auth:
    api: {jwt: {secret: {env: KEY}}}
    late: {jwt: {secret: {env: KEY}, from: [header, message]}}
  applications:
    main:
      http:
        - {path: hello/, respond: hello}
        - {path: "sse/<slug:room>/", events: "chat_{room}"}
        - {path: mine/sse/, events: "user_{user}", auth: api}
        - {path: late/sse/, events: "user_{user}", auth: late}
        - {path: "far/<slug:room>/", events: "chat_{room}", allowed_hosts: [page.test]}
        - {path: far/mine/sse/, events: "user_{user}", auth: api, allowed_hosts: [page.test]}
      websocket:
        allowed_hosts: [page.test]
        routes:
          - {path: ws/echo/, consumer: echo}
          - {path: ws/private/, consumer: echo, auth: api}
          - {path: "ws/chat/<slug:room>/", consumer: chat, group: "chat_{room}"}
          - {path: ws/two/, consumer: chat, group: [one, two]}
          - {path: ws/mine/, consumer: chat, group: "user_{user}", auth: api}
          - {path: ws/open/, consumer: chat, group: open, auth: api, auth_optional: true}
          - {path: ws/late/, consumer: chat, group: "user_{user}", auth: late}
          - {path: "ws/kept/<slug:room>/", consumer: chat, group: "kept_{room}", history: {messages: 10}}
          - {path: "ws/proxied/<path:rest>", consumer: proxy, to: "ws://127.0.0.1:9/{rest}"}
          - {path: "ws/viewed/<slug:room>/", consumer: view, group: "viewed_{room}", auth: api, url: "http://127.0.0.1:9/", secret: {env: KEY}}
          - {path: ws/rpc/, consumer: view, url: "http://127.0.0.1:9/", secret: {env: KEY}}
          - {path: ws/guarded/, consumer: proxy, to: "ws://127.0.0.1:9/inside/", auth: api}
  """

private struct OneFile: FileAccess {
  func contents(of path: String, as use: FileUse) -> Result<[UInt8], FileFault> { .success(Array(yaml.utf8)) }
  func isDirectory(_ path: String) -> Bool { false }
  func names(in directory: String) -> [String] { [] }
  func isReadableByAll(_ path: String) -> Bool { false }
  func absolute(_ path: String) -> String { "/" + path }
}

/// The routes of the file.
private let served: ServedRoutes? = {
  let loaded = ConfigurationLoader.load(
    path: "routes.yaml", environment: ["KEY": String(repeating: "k", count: 64)], files: OneFile())
  guard let configuration = loaded.configuration else { return nil }
  let layers = ServedLayers([MemoryBackend(alias: "default", history: nil, hasPresence: false)])
  let failures = UpstreamFailures(log: .quiet)
  return ServedRoutes(
    configuration, layers, on: MultiThreadedEventLoopGroup.singleton, failures: failures,
    views: RouteViews(failures: failures, log: .quiet), log: .quiet)
}()

/// What an admission is told, in a form for tables.
private enum Told: Sendable {
  case user(String)
  case anonymous
  case awaited
  case unauthenticated
  case identityUnavailable
  case subscribed
  case notSubscribed
  case dialled
  case notDialled
  case viewed
  case viewedAs(String)
  case notViewed
  case timedOut
  case stopped
  case stoppedBeforeRequest
  case disconnected(String)

  var event: Admission.Event {
    switch self {
    case .user(let name): .identified(.identity(Identity(user: name, claims: .object([]))))
    case .anonymous: .identified(.anonymous)
    case .awaited: .identified(.awaited)
    case .unauthenticated: .identified(.refused(.noToken))
    case .identityUnavailable: .identified(.unavailable)
    case .subscribed: .subscribed(.active)
    case .notSubscribed: .subscribed(.unavailable)
    case .dialled: .dialled(.success(()))
    case .notDialled: .dialled(.failure(HandshakeRefusal(.upstreamFailed)))
    case .viewed: .viewed(.success(ViewAnswer()))
    case .viewedAs(let user):
      .viewed(
        .success(
          {
            var answer = ViewAnswer()
            answer.user = user
            return answer
          }()))
    case .notViewed: .viewed(.failure(HandshakeRefusal(.forbiddenByCallback)))
    case .timedOut: .timedOut
    case .stopped: .stopped(hasBegun: true, retry: .milliseconds(3400))
    case .stoppedBeforeRequest: .stopped(hasBegun: false, retry: .milliseconds(3400))
    case .disconnected(let user): .disconnected(SessionTarget(user: user))
    }
  }

  static let all: [Told] = [
    .user("5"), .anonymous, .awaited, .unauthenticated, .identityUnavailable, .subscribed, .notSubscribed,
    .dialled, .notDialled, .viewed, .notViewed, .timedOut, .stopped, .stoppedBeforeRequest,
    .disconnected("5"),
  ]
}

/// A request in a few words, and how it is checked.
private struct Visit: Sendable {
  var target: String
  var fields: [String: String] = [:]
  var method = "GET"
  var allowance = Allowance.session
  var stopRetry: Duration?
  var rate: HandshakeRate?

  private var isWebSocket: Bool { target.hasPrefix("/ws/") }

  private var request: RequestHead? {
    var all = ["host": "page.test"]
    if isWebSocket {
      all["origin"] = "http://page.test"
      all["upgrade"] = "websocket"
      all["connection"] = "Upgrade"
      all["sec-websocket-version"] = "13"
      all["sec-websocket-key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
    }
    all.merge(fields) { $1 }
    let text =
      "\(method) \(target) HTTP/1.1\r\n" + all.map { "\($0.key): \($0.value)\r\n" }.joined() + "\r\n"
    guard case .complete(let request, _) = unsafe RequestHead.parse(Array(text.utf8).span.bytes) else {
      return nil
    }
    return request
  }

  func head() throws -> Admission.Head {
    let served = try #require(served, "the file of this test is not valid")
    let request = try #require(request)
    let place = isWebSocket ? nil : served.httpPlace(of: request.target)
    guard let destination = served.destination(of: request, at: place) else { return .http }
    let check = HeadCheck(
      served: served, request: request, client: Client(peer: .unix, isSecure: false),
      allowance: allowance, stopRetry: stopRetry, rate: rate)
    do throws(HandshakeRefusal) {
      return .opening(try check.opening(to: destination))
    } catch {
      return .refused(error)
    }
  }
}

extension Admission.Step? {
  /// In a few words.
  fileprivate var words: String {
    switch self {
    case .ask(_, let auth): "ask \(auth.rules.name)"
    case .subscribe(let groups, let layer): "subscribe \(groups.joined(separator: "+")) in \(layer.alias)"
    case .dial(let request, let route):
      "dial \(request.handshake.target) of \(route)"
        + request.handshake.fields.filter { $0.name == "X-Sluice-User" }.map { " for \($0.value)" }.joined()
    case .askView(let opening): "view" + Self.facts(of: opening)
    case .accept(let opening): "accept" + Self.facts(of: opening)
    case .refuse(let refusal):
      "refuse \(refusal.status)" + (refusal.crossOrigin.isEmpty ? "" : " to other origins") + ": "
        + refusal.text
    case .handToHTTP: "hand to HTTP"
    case .answer(let bytes): "answer \(bytes.count)"
    case .abort: "abort"
    case nil: "nothing"
    }
  }

  private static func facts(of opening: Opening) -> String {
    var facts = opening.identity.map { " \($0.user)" } ?? ""
    if !opening.groups.isEmpty { facts += " in " + opening.groups.joined(separator: "+") }
    if case .behind(let position)? = opening.history?.start { facts += " behind \(position)" }
    if opening.awaitsToken { facts += ", token awaited" }
    return facts
  }
}

private let away = "refuse 503: The channel layer is not available; try again later."
private let unknown = "refuse 503: Authentication is temporarily unavailable; try again later."
private let stopping = "refuse 503: The gateway is being restarted; retry in 3.4s."
private let unreached = "refuse 502: The upstream server did not answer as a WebSocket server."

struct AdmissionTests {
  /// The steps of a request: that of its head, and those that what is told leads to.
  private func steps(of visit: Visit, _ told: [Told]) throws -> [String] {
    var admission = Admission(visit.allowance)
    let first = admission.next(.head(try visit.head()))
    return [first.words] + told.map { admission.next($0.event).words }
  }

  /// An admission that waits, and the step that it waits for.
  private func waiting(_ target: String, _ told: [Told] = []) throws -> Admission {
    var admission = Admission(.session)
    _ = admission.next(.head(try Visit(target: target).head()))
    for told in told { _ = admission.next(told.event) }
    #expect(admission.waiting != nil)
    return admission
  }

  @Test(
    arguments: [
      ("/ws/echo/", [], ["accept"]),
      ("/ws/chat/lobby/", [.subscribed], ["subscribe chat_lobby in default", "accept in chat_lobby"]),
      ("/ws/two/", [.subscribed], ["subscribe one+two in default", "accept in one+two"]),
      ("/ws/chat/lobby/", [.notSubscribed], ["subscribe chat_lobby in default", away]),
      ("/ws/private/", [.user("5")], ["ask api", "accept 5"]),
      (
        "/ws/mine/", [.user("5"), .subscribed],
        ["ask api", "subscribe user_5 in default", "accept 5 in user_5"]
      ),
      ("/ws/mine/", [.user("5"), .notSubscribed], ["ask api", "subscribe user_5 in default", away]),
      ("/ws/mine/", [.unauthenticated], ["ask api", "refuse 401: a token is needed"]),
      ("/ws/mine/", [.identityUnavailable], ["ask api", unknown]),
      (
        "/ws/mine/", [.user("a b")],
        ["ask api", "refuse 403: no valid group name can be made for this user"]
      ),
      ("/ws/open/", [.anonymous, .subscribed], ["ask api", "subscribe open in default", "accept in open"]),
      (
        "/ws/late/", [.awaited, .user("5"), .subscribed],
        ["ask late", "accept, token awaited", "subscribe user_5 in default", "accept 5 in user_5"]
      ),
      (
        "/ws/late/", [.awaited, .user("5"), .notSubscribed],
        ["ask late", "accept, token awaited", "subscribe user_5 in default", away]
      ),
      (
        "/ws/kept/lobby/?since=7.3", [.subscribed],
        ["subscribe kept_lobby in default", "accept in kept_lobby behind 7.3"]
      ),
      ("/ws/kept/lobby/", [.subscribed], ["subscribe kept_lobby in default", "accept in kept_lobby"]),
      ("/ws/proxied/a/b", [.dialled], ["dial /a/b of ws/proxied/<path:rest>", "accept"]),
      ("/ws/proxied/a/b", [.notDialled], ["dial /a/b of ws/proxied/<path:rest>", unreached]),
      (
        "/ws/guarded/", [.user("é"), .dialled],
        ["ask api", "dial /inside/ of ws/guarded/ for %C3%A9", "accept é"]
      ),
      ("/ws/rpc/", [.viewed], ["view", "accept"]),
      ("/ws/rpc/", [.viewedAs("7")], ["view", "accept 7"]),
      ("/ws/rpc/", [.notViewed], ["view", "refuse 403: this user has no permission for this path"]),
      (
        "/ws/viewed/lobby/", [.user("5"), .subscribed, .viewedAs("7")],
        [
          "ask api", "subscribe viewed_lobby in default", "view 5 in viewed_lobby",
          "accept 7 in viewed_lobby",
        ]
      ),
      (
        "/ws/viewed/lobby/", [.user("5"), .notSubscribed],
        ["ask api", "subscribe viewed_lobby in default", away]
      ),
      ("/ws/guarded/", [.unauthenticated], ["ask api", "refuse 401: a token is needed"]),
      ("/sse/lobby/", [.subscribed], ["subscribe chat_lobby in default", "accept in chat_lobby"]),
      ("/sse/lobby/", [.notSubscribed], ["subscribe chat_lobby in default", away]),
      (
        "/sse/lobby/?since=7.3", [.subscribed],
        ["subscribe chat_lobby in default", "accept in chat_lobby behind 7.3"]
      ),
      (
        "/mine/sse/", [.user("5"), .subscribed],
        ["ask api", "subscribe user_5 in default", "accept 5 in user_5"]
      ),
      ("/mine/sse/", [.unauthenticated], ["ask api", "refuse 401: a token is needed"]),
      ("/late/sse/", [.awaited], ["ask late", "refuse 401: a token is needed"]),
      ("/hello/", [], ["hand to HTTP"]),
      ("/nothing/", [], ["hand to HTTP"]),
    ] as [(String, [Told], [String])])
  fileprivate func `a request takes the steps of its route`(
    _ target: String, _ told: [Told], _ expected: [String]
  ) throws {
    let steps = try steps(of: Visit(target: target), told)
    #expect(steps == expected)
    // Where the last step was given out, nothing leads to another one.
    guard told.last.map({ if case .awaited = $0 { false } else { true } }) ?? true else { return }
    for late in Told.all {
      let behind = try self.steps(of: Visit(target: target), told + [late])
      #expect(behind.last == "nothing", "\(late)")
    }
  }

  /// What each event leads to while a step is under way, if that is anything.
  @Test(
    arguments: [
      (
        "/ws/mine/", [],
        [
          "user": "subscribe user_5 in default", "anonymous": "refuse 401: a token is needed",
          "awaited": "accept, token awaited", "unauthenticated": "refuse 401: a token is needed",
          "identityUnavailable": unknown, "timedOut": unknown, "stopped": stopping,
          "stoppedBeforeRequest": stopping,
        ]
      ),
      (
        "/ws/mine/", [.user("5")],
        [
          "subscribed": "accept 5 in user_5", "notSubscribed": away, "timedOut": away, "stopped": stopping,
          "stoppedBeforeRequest": stopping, "disconnected": "refuse 403: disconnected by an operator",
        ]
      ),
      (
        "/ws/chat/lobby/", [],
        [
          "subscribed": "accept in chat_lobby", "notSubscribed": away, "timedOut": away, "stopped": stopping,
          "stoppedBeforeRequest": stopping,
        ]
      ),
      (
        "/ws/guarded/", [.user("5")],
        [
          "dialled": "accept 5", "notDialled": unreached,
          "timedOut": "refuse 504: The upstream server did not answer in time.", "stopped": stopping,
          "stoppedBeforeRequest": stopping, "disconnected": "refuse 403: disconnected by an operator",
        ]
      ),
      (
        // The session that is there by then takes orders itself.
        "/ws/viewed/lobby/", [.user("5"), .subscribed],
        [
          "viewed": "accept 5 in viewed_lobby",
          "notViewed": "refuse 403: this user has no permission for this path",
          "timedOut": "refuse 503: The application does not answer; try again later.", "stopped": stopping,
          "stoppedBeforeRequest": stopping,
        ]
      ),
      (
        "/mine/sse/", [.user("5")],
        [
          "subscribed": "accept 5 in user_5", "notSubscribed": away, "timedOut": away, "stopped": stopping,
          "stoppedBeforeRequest": stopping, "disconnected": "refuse 403: disconnected by an operator",
        ]
      ),
    ] as [(String, [Told], [String: String])])
  fileprivate func `each event has its meaning for the step that is under way, or none`(
    _ target: String, _ before: [Told], _ expected: [String: String]
  ) throws {
    for told in Told.all {
      var admission = try waiting(target, before)
      let name = String("\(told)".prefix { $0 != "(" })
      #expect(admission.next(told.event).words == expected[name] ?? "nothing", "\(told)")
    }
  }

  @Test(arguments: [
    (Told.timedOut, Allowance.session, "refuse 408: The request head did not arrive in time."),
    (.timedOut, .onlyHTTP, "refuse 408: The request head did not arrive in time."),
    (.timedOut, .onlyHealth, "refuse 503: All connections are in use; try again later."),
    (.stopped, .session, stopping),
    (.stoppedBeforeRequest, .session, "abort"),
    (.user("5"), .session, "nothing"),
    (.subscribed, .session, "nothing"),
    (.dialled, .session, "nothing"),
    (.disconnected("5"), .session, "nothing"),
  ])
  fileprivate func `before the head is there, only the time and a stop end the connection`(
    _ told: Told, _ allowance: Allowance, _ expected: String
  ) {
    var admission = Admission(allowance)
    #expect(admission.next(told.event).words == expected)
    #expect(admission.isReading == (expected == "nothing"))
  }

  @Test func `another user's sessions are disconnected, and this one goes on`() throws {
    var admission = try waiting("/ws/mine/", [.user("5")])
    #expect(admission.next(.disconnected(SessionTarget(user: "6"))).words == "nothing")
    #expect(admission.next(.subscribed(.active)).words == "accept 5 in user_5")
  }

  @Test(arguments: [
    (SessionTarget(user: "5"), true), (SessionTarget(group: "user_5"), true),
    (SessionTarget(user: "5", group: "user_5"), true), (SessionTarget(user: "5", group: "other"), false),
    (SessionTarget(user: "6", group: "user_5"), false), (SessionTarget(address: "x"), false),
    (SessionTarget(), false),
  ])
  fileprivate func `an opening is disconnected if everything that is given holds for it`(
    _ target: SessionTarget, _ isMeant: Bool
  ) throws {
    var admission = try waiting("/ws/mine/", [.user("5")])
    let expected = isMeant ? "refuse 403: disconnected by an operator" : "nothing"
    #expect(admission.next(.disconnected(target)).words == expected)
  }

  @Test func `a user whom an order keeps out is refused before a group is subscribed to`() throws {
    var asked: [String] = []
    var admission = Admission(.session) { user, groups in
      asked.append("\(user ?? "nobody") in \(groups)")
      return StandingOrder(.init(.disconnect, user: nil, group: "user_5"), until: 0, reason: "be nice")
    }
    #expect(admission.next(.head(try Visit(target: "/ws/mine/").head())).words == "ask api")
    #expect(asked == [])
    #expect(admission.next(Told.user("5").event).words == "refuse 403: be nice")
    #expect(asked == [#"5 in ["user_5"]"#])
  }

  @Test func `an order that comes while groups are subscribed to keeps the client out as well`() throws {
    var holds = false
    var admission = Admission(.session) { _, _ in
      guard holds else { return nil }
      return StandingOrder(.init(.disconnect, user: nil, group: "user_5"), until: 0, reason: "be nice")
    }
    _ = admission.next(.head(try Visit(target: "/ws/mine/").head()))
    #expect(admission.next(Told.user("5").event).words.hasPrefix("subscribe"))
    holds = true
    #expect(admission.next(.subscribed(.active)).words == "refuse 403: be nice")
  }

  @Test func `who is about to come in for a moment only is refused once it is known who it is`() throws {
    var admission = Admission(.session)
    let refuse = { (_: Opening) in HandshakeRefusal(.stopping(retry: .seconds(3))) as HandshakeRefusal? }
    func judged(_ step: Admission.Step?, _ refusal: (Opening) -> HandshakeRefusal?) -> Admission.Step? {
      step.map { admission.judge($0, refusal) }
    }
    let ask = admission.next(.head(try Visit(target: "/ws/mine/").head()))
    #expect(judged(ask, refuse).words == "ask api")
    let subscribe = admission.next(Told.user("5").event)
    #expect(judged(subscribe) { _ in nil }.words == "subscribe user_5 in default")
    #expect(judged(subscribe, refuse).words == "refuse 503: The gateway is being restarted; retry in 3.0s.")
    // Nothing that is under way leads anywhere.
    #expect(admission.next(.subscribed(.active)).words == "nothing")
    #expect(admission.next(.timedOut).words == "nothing")
  }

  @Test func `a health check is answered, and a refused head refused`() {
    var admission = Admission(.onlyHealth)
    #expect(admission.next(.head(.health(answer: [1, 2]))).words == "answer 2")
    admission = Admission(.session)
    #expect(
      admission.next(.head(.refused(HandshakeRefusal(.headTooLong)))).words
        == "refuse 431: The request head is too long.")
    #expect(admission.next(.head(.http)).words == "nothing")
  }

  @Test func `a handshake counts once its head is good, whatever becomes of it then`() throws {
    let rate = HandshakeRate(Rate(count: 1, period: .seconds(3600), burst: 1), log: .quiet)
    func status(_ target: String, _ fields: [String: String] = [:]) throws -> Int? {
      switch try Visit(target: target, fields: fields, rate: rate).head() {
      case .refused(let refusal): refusal.status
      default: nil
      }
    }
    #expect(try status("/ws/nowhere/") == 404)
    #expect(try status("/ws/echo/", ["origin": "http://other.test"]) == 403)
    #expect(try status("/ws/proxied/a/../b/") == 400)
    // It has no token.
    #expect(try status("/ws/private/") == nil)
    #expect(try status("/ws/echo/") == 503)
  }

  @Test func `a page of another origin can read why its stream was refused`() throws {
    let fields = ["origin": "http://page.test", "host": "other.test"]
    let steps = try steps(of: Visit(target: "/far/lobby/", fields: fields), [.notSubscribed])
    #expect(
      steps.last == "refuse 503 to other origins: The channel layer is not available; try again later.")
    #expect(
      try self.steps(of: Visit(target: "/far/mine/sse/", fields: fields), [.unauthenticated]).last
        == "refuse 401 to other origins: a token is needed")
  }

  /// The checks of a head, in their order: each row still has the faults of those behind it.
  @Test(arguments: [
    (Visit(target: "/ws/%zz/", stopRetry: .milliseconds(3400)), stopping),
    (Visit(target: "/ws/%zz/", method: "PUT"), "refuse 400: The path is not percent-encoded UTF-8."),
    (Visit(target: "/ws/nothing/", method: "PUT"), "refuse 404: There is nothing at this path."),
    (
      Visit(target: "/ws/kept/lobby/?since=x", fields: ["origin": "http://a.test"], method: "PUT"),
      "refuse 400: A WebSocket handshake must be a GET request."
    ),
    (
      Visit(target: "/ws/kept/lobby/?since=x", fields: ["origin": "http://a.test"]),
      "refuse 403: Pages of this origin are not allowed here."
    ),
    (
      Visit(target: "/ws/kept/\(String(repeating: "r", count: 99))/?since=x"),
      "refuse 400: \"since\" must be the id of a frame (EPOCH.OFFSET), or empty."
    ),
    (
      Visit(target: "/ws/chat/\(String(repeating: "r", count: 99))/", allowance: .onlyHTTP),
      "refuse 404: There is nothing at this path."
    ),
    (
      Visit(target: "/ws/chat/lobby/", allowance: .onlyHTTP),
      "refuse 503: All connections are in use; try again later."
    ),
    (
      Visit(target: "/ws/proxied/a/../b", allowance: .onlyHTTP),
      "refuse 503: All connections are in use; try again later."
    ),
    (
      Visit(target: "/ws/proxied/a/../b"),
      "refuse 400: The path has a segment \".\" or \"..\", or a \"#\": a server could read it as another path."
    ),
    (
      Visit(
        target: "/sse/lobby/?since=x", fields: ["origin": "http://a.test"], stopRetry: .milliseconds(3400)),
      stopping
    ),
    (
      Visit(target: "/sse/lobby/?since=x", fields: ["origin": "http://a.test"]),
      "refuse 403: Pages of this origin are not allowed here."
    ),
    (
      Visit(target: "/sse/\(String(repeating: "r", count: 99))/?since=x"),
      "refuse 400: \"since\" must be the id of a frame (EPOCH.OFFSET), or empty."
    ),
    (
      Visit(target: "/sse/\(String(repeating: "r", count: 99))/", allowance: .onlyHTTP),
      "refuse 404: There is nothing at this path."
    ),
    (
      Visit(target: "/sse/lobby/", allowance: .onlyHTTP),
      "refuse 503: All connections are in use; try again later."
    ),
    // An id that was not issued here is no fault of a stream's client, which did not choose it.
    (Visit(target: "/sse/lobby/", fields: ["last-event-id": "x"]), "subscribe chat_lobby in default"),
  ])
  fileprivate func `a head is checked in the order in which a client can correct it`(
    _ visit: Visit, _ expected: String
  ) throws {
    #expect(try steps(of: visit, []) == [expected])
  }
}
