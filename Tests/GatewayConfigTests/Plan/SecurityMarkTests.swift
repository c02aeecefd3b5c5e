import Testing

@testable import GatewayConfig

/// Two files of which the second is looser in one way.
struct LooserPair: Sendable, CustomTestStringConvertible {
  var kind: SecurityMark.Kind
  var strict: PlanFile
  var loose: PlanFile

  /// A WebSocket route with these keys.
  init(_ kind: SecurityMark.Kind, webSocket strict: String, _ loose: String) {
    self.kind = kind
    self.strict = PlanFile(webSocket: ["path: a/, \(strict)"])
    self.loose = PlanFile(webSocket: ["path: a/, \(loose)"])
  }

  init(_ kind: SecurityMark.Kind, http strict: String, _ loose: String) {
    self.kind = kind
    self.strict = PlanFile(http: ["path: a/, \(strict)"])
    self.loose = PlanFile(http: ["path: a/, \(loose)"])
  }

  /// A line at the top of the file, beside a route with users.
  init(_ kind: SecurityMark.Kind, top strict: String, _ loose: String) {
    let routes = ["path: a/, consumer: echo, auth: users"]
    self.kind = kind
    self.strict = PlanFile(webSocket: routes, top: [strict])
    self.loose = PlanFile(webSocket: routes, top: [loose])
  }

  var testDescription: String { "\(kind.rawValue): \(strict) -> \(loose)" }
}

private let jwt = "secret: {env: SECRET}, algorithms: [HS256]"
private func users(_ keys: String) -> String { "auth: {users: {jwt: {\(keys)}}}" }
private func asked(_ keys: String) -> String {
  "auth: {users: {callback: {url: 'http://127.0.0.1:1/me/', \(keys)}}}"
}

/// A Unix socket.
private func socket(_ mode: String?, group: String? = nil, path: String = "/run/web.sock") -> String {
  let (mode, group) = (mode.map { ", mode: '\($0)'" } ?? "", group.map { ", group: \($0)" } ?? "")
  return "server: {bind: {address: 'unix:\(path)'\(mode)\(group)}}"
}

/// Addresses with a header of the PROXY protocol.
private func proxied(_ addresses: String..., beside others: [String] = [], trusted: String? = nil) -> String {
  let all = addresses.map { "{address: '\($0)', proxy_protocol: true}" } + others.map { "'\($0)'" }
  let list = trusted.map { ", trusted_proxies: [\($0)]" } ?? ""
  return "server: {bind: [\(all.joined(separator: ", "))]\(list)}"
}

/// Orders at an address of the loopback.
private func admin(_ token: String, port: Int = 9001) -> String {
  "server: {admin: {address: '127.0.0.1:\(port)', token: {env: \(token)}}}"
}

/// A route whose clients a view lets in.
private func view(
  _ keys: String = "on: [connect, receive]", url: String = "http://127.0.0.1:1/ws/"
) -> String {
  "consumer: view, url: \"\(url)\", secret: {env: SECRET}, \(keys)"
}

struct SecurityMarkTests {
  static let pairs = [
    LooserPair(
      .originWidened, webSocket: "consumer: echo, allowed_hosts: [a.example]",
      "consumer: echo, allowed_hosts: [a.example, b.example]"),
    LooserPair(
      .originWidened, webSocket: "consumer: echo, allowed_hosts: ['https://a.example']",
      "consumer: echo, allowed_hosts: [a.example]"),
    LooserPair(
      .originWidened, webSocket: "consumer: echo, allowed_hosts: [a.example]",
      "consumer: echo, allowed_hosts: [.a.example]"),
    LooserPair(
      .originWidened, webSocket: "consumer: echo, allowed_hosts: [.a.example]",
      "consumer: echo, allowed_hosts: ['*']"),
    LooserPair(.originWidened, webSocket: "consumer: echo", "consumer: echo, allowed_hosts: ['*']"),
    LooserPair(
      .originWidened, http: "events: news, allowed_hosts: ['*']",
      "events: news, allowed_hosts: ['*', a.example]"),
    LooserPair(.originWidened, http: "events: news", "events: news, allowed_hosts: [a.example]"),
    LooserPair(
      .originWidened, http: "publish: {groups: [x]}, auth: users, allowed_hosts: ['*']",
      "publish: {groups: [x]}, auth: users, allowed_hosts: ['*', a.example]"),
    LooserPair(.authRemoved, webSocket: "consumer: echo, auth: users", "consumer: echo"),
    LooserPair(.authRemoved, http: "events: news, auth: users", "events: news"),
    LooserPair(
      .authOptional, webSocket: "consumer: echo, auth: users",
      "consumer: echo, auth: users, auth_optional: true"),
    LooserPair(
      .requireWeaker, webSocket: "consumer: echo, auth: users, require: {role: staff}",
      "consumer: echo, auth: users"),
    LooserPair(
      .requireWeaker, webSocket: "consumer: echo, auth: users, require: {role: staff}",
      "consumer: echo, auth: users, require: {role: [staff, guest]}"),
    LooserPair(
      .requireWeaker, webSocket: "consumer: echo, auth: users, require: {role: staff, team: a}",
      "consumer: echo, auth: users, require: {any: [{role: staff}, {team: a}]}"),
    LooserPair(
      .permissionDropped,
      webSocket: "consumer: echo, auth: users, permission: {url: \"http://127.0.0.1:1/may/\"}",
      "consumer: echo, auth: users"),
    LooserPair(.permissionDropped, webSocket: view(), view("on: [receive]")),
    LooserPair(.permissionDropped, webSocket: view(), "consumer: echo"),
    LooserPair(
      .limitRemoved, webSocket: "consumer: echo, limits: {rate: {messages: 10/s}}", "consumer: echo"),
    LooserPair(
      .limitRemoved, top: "limits: {per_ip: {handshakes: 10/s}}", "limits: {per_ip: {connections: 5}}"),
    LooserPair(.limitRemoved, top: "limits: {connections: 100}", "limits: {per_ip: {connections: 5}}"),
    LooserPair(
      .limitRemoved, top: "limits: {per_ip: {connections: 5}}", "limits: {per_ip: {connections: none}}"),
    LooserPair(
      .groupsWidened, webSocket: "consumer: chat, group: a, subscribe: ['x_*']",
      "consumer: chat, group: a, subscribe: ['x_*', 'y_*']"),
    LooserPair(
      .groupsWidened, http: "publish: {groups: ['x_*'], token: {env: TOKEN}}",
      "publish: {groups: ['*'], token: {env: TOKEN}}"),
    LooserPair(
      .writersWidened, webSocket: "consumer: broadcast, group: a, publish: nobody",
      "consumer: broadcast, group: a"),
    LooserPair(
      .writersWidened, webSocket: "consumer: broadcast, group: a, publish: nobody, auth: users",
      "consumer: broadcast, group: a, publish: authenticated, auth: users"),
    LooserPair(
      .publishOpened, http: "publish: {groups: ['x_*'], token: {env: TOKEN}}",
      "publish: {groups: ['x_*'], anonymous: true}"),
    LooserPair(
      .publishOpened, http: "publish: {groups: ['x_*'], token: {env: TOKEN}}",
      "publish: {groups: ['x_*'], token: [{env: TOKEN}, {env: SECOND}]}"),
    LooserPair(
      .publishOpened, http: "publish: {groups: ['x_*'], token: {env: TOKEN}}",
      "publish: {groups: ['x_*'], token: {env: TOKEN}, allow: [publish, disconnect]}"),
    LooserPair(
      .publishOpened, http: "publish: {groups: ['x_*'], token: {env: TOKEN}}",
      "publish: {groups: ['x_*'], token: {env: TOKEN}}, auth: users"),
    LooserPair(
      .encryptionWeaker, http: "proxy: \"https://127.0.0.1:1\"",
      "proxy: {to: \"https://127.0.0.1:1\", tls: {verify: false}}"),
    LooserPair(
      .proxiesWidened, top: "server: {trusted_proxies: [10.0.0.0/16]}",
      "server: {trusted_proxies: [10.0.0.0/8]}"),
    LooserPair(
      .proxiesWidened, top: "server: {trusted_proxies: [10.0.0.1]}",
      "server: {trusted_proxies: [10.0.0.1, 10.0.0.2]}"),
    LooserPair(
      .proxiesWidened, top: proxied("0.0.0.0:8000", trusted: "10.0.0.0/8"), proxied("0.0.0.0:8000")),
    LooserPair(
      .proxiesWidened, top: proxied("0.0.0.0:8000", trusted: "10.0.0.0/8"),
      proxied("0.0.0.0:8000", trusted: "10.0.0.0/8, 11.0.0.1")),
    LooserPair(.proxiesWidened, top: "server: {bind: '0.0.0.0:8000'}", proxied("0.0.0.0:8000")),
    LooserPair(
      .proxiesWidened, top: "server: {bind: '0.0.0.0:8000'}",
      proxied("0.0.0.0:8001", beside: ["0.0.0.0:8000"])),
    LooserPair(.proxiesWidened, top: socket(nil), proxied("unix:/run/web.sock")),
    LooserPair(.proxiesWidened, top: socket(nil), proxied("unix:/run/web.sock", trusted: "unix")),
    LooserPair(
      .addressWidened, top: "server: {bind: \"127.0.0.1:8000\"}", "server: {bind: \"0.0.0.0:8000\"}"),
    LooserPair(.addressWidened, top: socket("0600"), socket("0660")),
    LooserPair(.addressWidened, top: socket(nil), socket("0666")),
    LooserPair(.addressWidened, top: socket(nil), socket("0660")),
    LooserPair(.addressWidened, top: socket("0660"), socket("0660", group: "www-data")),
    LooserPair(
      .addressWidened, top: "server: {bind: \"127.0.0.1:8000\"}",
      "server: {bind: [\"127.0.0.1:8000\", {address: 'unix:/run/a.sock', mode: '0666'}]}"),
    LooserPair(.addressWidened, top: "server: {admin: false}", admin("TOKEN")),
    LooserPair(.addressWidened, top: "server: {threads: 1}", admin("TOKEN")),
    LooserPair(.addressWidened, top: "server: {admin: 'unix:/run/a.sock'}", admin("TOKEN")),
    LooserPair(.limitRemoved, top: "limits: {handshakes: 100/s}", "limits: {handshakes: none}"),
    LooserPair(.tokensWidened, top: users(jwt), users("secret: {env: SECRET}, algorithms: [HS256, HS384]")),
    LooserPair(.tokensWidened, top: users(jwt + ", audience: a"), users(jwt + ", audience: [a, b]")),
    LooserPair(.tokensWidened, top: users(jwt + ", issuer: a"), users(jwt)),
    LooserPair(.tokensWidened, top: users(jwt), users(jwt + ", leeway: 1m")),
    LooserPair(.tokensWidened, top: users(jwt), users(jwt + ", expiry: keep")),
    LooserPair(.tokensWidened, top: users(jwt + ", user: {as: int}"), users(jwt)),
    LooserPair(
      .tokensWidened, top: users(jwt + ", from: [header]"), users(jwt + ", from: [header, {cookie: t}]")),
    LooserPair(.tokensWidened, top: asked("from: [header]"), asked("from: [header, {cookie: t}]")),
    LooserPair(.tokensWidened, top: asked("user: {claim: id, as: int}"), asked("user: id")),
    LooserPair(.tokensWidened, top: asked("headers: [cookie]"), asked("headers: [cookie, x-key]")),
    LooserPair(.tokensWidened, top: asked("headers: [cookie]"), asked("headers: [cookie, authorization]")),
    LooserPair(
      .encryptionOff,
      top: "channel_layers: {default: {backend: redis, config: {hosts: ['rediss://127.0.0.1:1']}}}",
      "channel_layers: {default: {backend: redis, config: {hosts: ['redis://127.0.0.1:1']}}}"),
  ]

  @Test(arguments: pairs)
  func `what is looser is marked, and what is stricter is not`(_ pair: LooserPair) throws {
    let looser = try ConfigurationComparison(pair.strict, pair.loose)
    #expect(looser.markKinds.contains(pair.kind), "\(looser.marks)")
    #expect(Plan(looser, old: "a", new: "b").exitCode == 4)
    let stricter = try ConfigurationComparison(pair.loose, pair.strict)
    #expect(!stricter.markKinds.contains(pair.kind), "\(stricter.marks)")
    let same = try ConfigurationComparison(pair.loose, pair.loose)
    #expect(same.marks.isEmpty && same.isEmpty)
  }

  @Test func `a Unix socket that lets nobody in who could not connect is not marked`() throws {
    for (old, new) in [
      (socket("0666"), socket("0660", group: "www-data")), (socket("0600"), socket("0644")),
      (socket("0660"), socket("0660", path: "/run/other.sock")), (socket("0600"), socket(nil)),
      (socket("0660", group: "www-data"), socket("0600", group: "adm")),
    ] {
      let plan = try ConfigurationComparison(PlanFile(top: [old]), PlanFile(top: [new]))
      #expect(plan.marks.isEmpty, "\(old) -> \(new)")
    }
  }

  @Test func `headers of the PROXY protocol are marked only where somebody else is believed`() throws {
    for (old, new) in [
      // Only those who could write fields before.
      (
        "server: {bind: '0.0.0.0:8000', trusted_proxies: [10.0.0.0/8]}",
        proxied("0.0.0.0:8000", trusted: "10.0.0.0/8")
      ),
      (
        "server: {bind: 'unix:/run/web.sock', trusted_proxies: [unix]}",
        proxied("unix:/run/web.sock", trusted: "unix")
      ),
      // Everybody before.
      (proxied("unix:/run/web.sock"), proxied("unix:/run/web.sock", trusted: "unix")),
      (
        proxied("0.0.0.0:8000", "unix:/run/web.sock"),
        proxied("0.0.0.0:8000", "unix:/run/web.sock", trusted: "10.0.0.0/8, unix")
      ),
    ] {
      let plan = try ConfigurationComparison(PlanFile(top: [old]), PlanFile(top: [new]))
      #expect(plan.marks.isEmpty, "\(old) -> \(new): \(plan.marks)")
    }
    // Fields of the same machines are believed at another address now.
    let beside = try ConfigurationComparison(
      PlanFile(top: [proxied("0.0.0.0:8000")]),
      PlanFile(top: [proxied("0.0.0.0:8000", beside: ["0.0.0.0:8001"], trusted: "10.0.0.0/8")]))
    #expect(beside.markKinds == [.proxiesWidened])
  }

  @Test func `a list of trusted proxies that is gone is named, and not the address`() throws {
    let plan = try ConfigurationComparison(
      PlanFile(top: [proxied("0.0.0.0:8000", trusted: "10.0.0.0/8")]),
      PlanFile(top: [proxied("0.0.0.0:8000")]))
    #expect(plan.marks.map(\.key) == ["server.trusted_proxies"])
  }

  @Test func `another entry of auth, and a key that is another one, are marked in both directions`() throws {
    let one = PlanFile(webSocket: ["path: a/, consumer: echo, auth: users"])
    let other = PlanFile(webSocket: ["path: a/, consumer: echo, auth: others"])
    #expect(try ConfigurationComparison(one, other).markKinds == [.authOther])
    #expect(try ConfigurationComparison(other, one).markKinds == [.authOther])
    let key = PlanFile(webSocket: one.webSocket, top: [users("secret: {env: OTHER}, algorithms: [HS256]")])
    let known = PlanFile(webSocket: one.webSocket, top: [users(jwt)])
    #expect(try ConfigurationComparison(known, key).markKinds == [.tokensWidened])
    for (one, other) in [
      (users(jwt), users(jwt + ", user: name")), (asked("timeout: 5s"), asked("user: name")),
    ] {
      let (one, other) = (PlanFile(top: [one]), PlanFile(top: [other]))
      #expect(try ConfigurationComparison(one, other).markKinds == [.tokensWidened])
      #expect(try ConfigurationComparison(other, one).markKinds == [.tokensWidened])
    }
    // The field is passed on in both.
    let (asIs, taken) = (PlanFile(top: [asked("timeout: 5s")]), PlanFile(top: [asked("from: [header]")]))
    #expect(try ConfigurationComparison(asIs, taken).marks.isEmpty)
    // As it is it may also hold a name and a password.
    #expect(try ConfigurationComparison(taken, asIs).markKinds == [.tokensWidened])
    let token = PlanFile(http: ["path: a/, publish: {groups: [x], token: {env: TOKEN}}"])
    let second = PlanFile(http: ["path: a/, publish: {groups: [x], token: {env: SECOND}}"])
    #expect(try ConfigurationComparison(token, second).markKinds == [.publishOpened])
    #expect(try ConfigurationComparison(second, token).markKinds == [.publishOpened])
    let (orders, others) = (PlanFile(top: [admin("TOKEN")]), PlanFile(top: [admin("SECOND")]))
    #expect(try ConfigurationComparison(orders, others).markKinds == [.addressWidened])
    #expect(try ConfigurationComparison(others, orders).markKinds == [.addressWidened])
    let elsewhere = PlanFile(top: [admin("TOKEN", port: 9002)])
    #expect(try ConfigurationComparison(orders, elsewhere).marks.isEmpty)
  }

  @Test func `another view that lets clients in is marked in both directions, and no other`() throws {
    func kinds(_ old: String, _ new: String) throws -> [SecurityMark.Kind] {
      try ConfigurationComparison(
        PlanFile(webSocket: ["path: a/, \(old)"]), PlanFile(webSocket: ["path: a/, \(new)"])
      ).markKinds
    }
    let other = "http://127.0.0.1:2/ws/"
    #expect(try kinds(view(), view(url: other)) == [.permissionDropped])
    #expect(try kinds(view(url: other), view()) == [.permissionDropped])
    #expect(try kinds(view("headers: [cookie]"), view("headers: [cookie, x-key]")) == [.permissionDropped])
    #expect(try kinds(view("on: [receive]"), view("on: [receive]", url: other)) == [])
    #expect(try kinds(view(), view("on: [connect, receive], timeout: 2s, in_flight: 4")) == [])
  }

  @Test func `all pages without cookies and some with them are each more than the other`() throws {
    let (all, one) = (
      PlanFile(http: ["path: a/, events: news, allowed_hosts: ['*']"]),
      PlanFile(http: ["path: a/, events: news, allowed_hosts: [a.example]"])
    )
    let wider = try ConfigurationComparison(one, all)
    #expect(wider.markKinds == [.originWidened])
    #expect(wider.marks.first?.text.contains("may read the answers, which [a.example] refused") == true)
    let withCookies = try ConfigurationComparison(all, one)
    #expect(withCookies.markKinds == [.originWidened])
    #expect(
      withCookies.marks.first?.text
        == "pages of \"https://a.example\" may read the answers with the cookies of their users, which [*] refused"
    )
    // Whoever sends no Origin is let in by both.
    let none = PlanFile(http: ["path: a/, events: news"])
    #expect(try ConfigurationComparison(one, none).marks.isEmpty)
  }

  @Test func `a group that clients with other rights share now is marked once, with a path`() throws {
    let member = "path: members/, consumer: chat, group: news, auth: users"
    let old = PlanFile(webSocket: [
      member, "path: open/, consumer: chat, group: open, auth: users, require: {a: b}",
    ])
    let new = PlanFile(
      webSocket: [
        member, "path: open/, consumer: chat, group: news, auth: users, require: {a: b}, shared: true",
      ])
    let marks = try ConfigurationComparison(old, new).marks.filter { $0.kind == .groupShared }
    #expect(marks.count == 1)
    #expect(marks.first?.text.contains("\"news\"") == true)
    // What was shared before is not new, whatever it is called and wherever it stands.
    let renamed = PlanFile(webSocket: Array(new.webSocket.reversed()))
    #expect(try ConfigurationComparison(new, renamed).marks.isEmpty)
    #expect(try ConfigurationComparison(new, old).marks.isEmpty)
  }

  @Test func `a route that is new and opens the publish API is marked`() throws {
    let new = PlanFile(http: ["path: a/, publish: {groups: [x], anonymous: true}"])
    #expect(try ConfigurationComparison(PlanFile(), new).markKinds.contains(.publishOpened))
  }

  @Test func `a looser route in front of a stricter one is marked with a path that it takes`() throws {
    let strict = "path: \"ws/<slug:x>/\", consumer: echo, auth: users"
    let comparison = try ConfigurationComparison(
      PlanFile(webSocket: [strict]), PlanFile(webSocket: ["path: ws/open/, consumer: echo", strict]))
    #expect(comparison.markKinds == [.authRemoved])
    #expect(comparison.marks.first?.example == "ws/open/")
  }

  @Test func `a rule about a capture is the same where the captures are`() throws {
    let keys = "consumer: echo, auth: users, require: {rooms: \"{room}\"}"
    let old = PlanFile(webSocket: ["path: \"ws/<slug:room>/\", \(keys)"])
    let same = PlanFile(webSocket: ["re_path: '^ws/(?P<room>[-a-zA-Z0-9_]+)/$', \(keys)"])
    #expect(try ConfigurationComparison(old, same).marks.isEmpty)
    let other = PlanFile(webSocket: ["re_path: '^ws/(?P<room>[-a-zA-Z0-9_])[-a-zA-Z0-9_]*/$', \(keys)"])
    #expect(try ConfigurationComparison(old, other).markKinds == [.requireWeaker])
  }
}
