import LayerTestSupport
import TestSupport
import Testing

@testable import GatewayConfig

/// Files by their paths, as on a disk.
private struct Files: FileAccess {
  var texts: [String: String]

  func contents(of path: String, as use: FileUse) -> Result<[UInt8], FileFault> {
    texts[path].map { .success(Array($0.utf8)) } ?? .failure(FileFault("there is no such file"))
  }
  func isDirectory(_ path: String) -> Bool { texts.keys.contains { $0.hasPrefix(path + "/") } }
  func names(in directory: String) -> [String] {
    texts.keys.filter { Paths.directory(of: $0) == (directory == "." ? "" : directory) }.map(Paths.name)
  }
  func absolute(_ path: String) -> String { path.hasPrefix("/") ? path : "/here/" + path }
  func isReadableByAll(_ path: String) -> Bool { false }
}

private let base = """
  installed_apps: [echo]
  server: {bind: "127.0.0.1:1", threads: 2}
  limits:
    message: 1KiB
    ping: {interval: 20s, timeout: 10s}
  applications: {main: {websocket: [{path: a/, consumer: echo}]}}
  """

private func load(_ texts: [String: String], overlays: [String] = []) -> LoadedConfiguration {
  ConfigurationLoader.load(
    path: "routes.yaml", overlays: overlays, environment: ["PORT": "9"], files: Files(texts: texts))
}

/// The file with one other that is laid over it.
private func laid(_ text: String, over lower: String = base) -> LoadedConfiguration {
  load(["routes.yaml": lower, "over.yaml": text], overlays: ["over.yaml"])
}

/// `over.yaml:2:3 error[unknown-key] unknown key "x" in "server"`
private func lines(_ loaded: LoadedConfiguration) -> [String] {
  loaded.report.findings.map { finding in
    let place = finding.range.map { "\($0.file.path):\($0.start.line):\($0.start.column) " } ?? ""
    return "\(place)\(finding.code.rawValue): \(finding.message)"
  }
}

struct OverlayTests {
  @Test func `mappings are merged at any depth, single values and lists take the place of others`() throws {
    let loaded = laid(
      """
      server: {bind: ["127.0.0.1:${PORT}", "127.0.0.1:3"]}
      limits:
        ping: {timeout: 5s}
        send_queue: 2KiB
      """)
    #expect(lines(loaded) == [])
    let configuration = try #require(loaded.configuration)
    #expect(
      configuration.server.bind == [.tcp(host: "127.0.0.1", port: 9), .tcp(host: "127.0.0.1", port: 3)])
    #expect(configuration.server.threads == 2)
    let limits = configuration.served.webSocketRoutes[0].limits
    #expect(limits.ping?.interval == .seconds(20) && limits.ping?.timeout == .seconds(5))
    #expect(limits.message == .kibibytes(1) && limits.sendQueue == .kibibytes(2))
  }

  @Test func `what takes another form is replaced, and null removes`() throws {
    let loaded = laid("limits: {ping: none, message: null}\nserver: ~")
    #expect(lines(loaded) == [])
    let configuration = try #require(loaded.configuration)
    #expect(configuration.served.webSocketRoutes[0].limits.ping == nil)
    #expect(configuration.served.webSocketRoutes[0].limits.message == SessionLimits().message)
    #expect(configuration.server.bind == ServerConfiguration().bind && configuration.server.threads == nil)
  }

  @Test func `files are laid on in their order`() throws {
    let texts = [
      "routes.yaml": base, "one.yaml": "limits: {message: 2KiB, send_queue: 9KiB}",
      "two.yaml": "limits: {message: 3KiB}",
    ]
    func message(_ overlays: String...) -> ByteCount? {
      load(texts, overlays: overlays).configuration?.served.webSocketRoutes[0].limits.message
    }
    #expect(message("one.yaml", "two.yaml") == .kibibytes(3))
    #expect(message("two.yaml", "one.yaml") == .kibibytes(2))
  }

  @Test(arguments: [
    ("server:\n  treads: 3", ["over.yaml:2:3 unknown-key: unknown key \"treads\" in \"server\""]),
    ("limits: {message: 12}", ["over.yaml:1:19 missing-unit: \"message\" is 12 without a unit"]),
    (
      "limits: [a]",
      ["over.yaml:1:9 wrong-type: expected a mapping of keys to values for \"limits\", found a list"]
    ),
    (
      "limits: {pign: null}",
      ["over.yaml:1:10 unknown-key: there is no \"limits.pign\" that null could remove"]
    ),
    (
      "shutdown: {grace: null}",
      ["over.yaml:1:12 unknown-key: there is no \"shutdown.grace\" that null could remove"]
    ),
    (
      "server: {admin: {address: null}}\nlimits: {ping: {interval: 9s}, per_ip: {connections: ~}}",
      [
        "over.yaml:1:17 missing-key: \"admin\" needs \"address\"",
        "over.yaml:1:18 unknown-key: there is no \"server.admin.address\" that null could remove",
        "over.yaml:2:41 unknown-key: there is no \"limits.per_ip.connections\" that null could remove",
      ]
    ),
    ("limits:", ["over.yaml:1:1 wrong-type: \"limits\" has no value here"]),
    (
      "[a, b]",
      ["over.yaml:1:1 wrong-type: expected a mapping of keys to values for \"over.yaml\", found a list"]
    ),
    ("", ["over.yaml:1:1 yaml-syntax: the file is empty"]),
    ("limits: {", ["over.yaml:1:9 yaml-syntax: \"{\" is not closed by \"}\""]),
    ("applications: null", ["routes.yaml:1:1 missing-key: the file needs \"applications\""]),
    ("lmits: {message: 1KiB}", ["over.yaml:1:1 unknown-key: unknown key \"lmits\" in the file"]),
  ])
  func `a mistake is told at the place of the file that made it`(_ text: String, _ expected: [String]) {
    #expect(lines(laid(text)) == expected)
  }

  /// Where the only finding says that something was taken away.
  private func places(_ text: String) -> [String] {
    let findings = laid(text).report.findings
    guard findings.count == 1 else { return lines(laid(text)) }
    return findings[0].related.map {
      "\($0.range.file.path):\($0.range.start.line):\($0.range.start.column) \($0.value)"
    }
  }

  @Test func `whoever takes the routes away is named`() {
    #expect(places("applications: null") == ["over.yaml:1:1 removed here"])
    #expect(places("applications: {main: {websocket: []}}") == ["over.yaml:1:23 emptied here"])
    #expect(places("applications:\n  main: {websocket: ~}") == ["over.yaml:2:10 removed here"])
    #expect(
      laid("applications: {main: null}").report.findings.map(\.message) == ["\"applications\" is empty"])
    #expect(places("applications: {main: null}") == ["over.yaml:1:16 removed here"])
  }

  @Test func `a layer that nothing uses and that is nearly called like another one is a slip`() {
    let lower = """
      installed_apps: [chat]
      channel_layers: {default: {backend: memory}, cache1: {backend: memory}}
      applications: {main: {websocket: [{path: a/, consumer: chat, group: g}, {path: b/, consumer: chat, group: h, channel_layer: cache1}]}}
      """
    #expect(
      lines(laid("channel_layers: {cache2: {backend: memory}, other: {backend: memory}}", over: lower)) == [])
    let slip = laid("channel_layers: {defualt: {backend: memory}}", over: lower)
    #expect(lines(slip) == ["over.yaml:1:18 unknown-name: nothing uses the channel layer \"defualt\""])
    #expect(slip.configuration != nil && slip.report.findings[0].hint == "did you mean \"default\"?")
  }

  @Test func `of keys that exclude each other, those of the upper file stay, and a secret is one value`()
    throws
  {
    let lower = base + "\nauth: {users: {jwt: {secret: {env: PORT, encoding: hex}, issuer: me, leeway: 3s}}}"
    func auth(_ text: String) throws -> Node {
      let loaded = laid(text, over: lower)
      return try #require(loaded.written?.document.entry("auth")?.value.entry("users")?.value)
    }
    func keys(_ node: Node?) -> [String] { node?.entries?.map(\.key.value) ?? [] }
    let jwks = try auth("auth: {users: {jwt: {jwks: keys.json}}}")
    #expect(keys(jwks.entry("jwt")?.value) == ["issuer", "leeway", "jwks"])
    let callback = try auth("auth: {users: {callback: {url: 'http://127.0.0.1/'}}}")
    #expect(keys(callback) == ["callback"])
    let file = try auth("auth: {users: {jwt: {secret: {file: a}}}}")
    #expect(keys(file.entry("jwt")?.value) == ["secret", "issuer", "leeway"])
    #expect(keys(file.entry("jwt")?.value.entry("secret")?.value) == ["file"])
  }

  @Test func `the names of files are relative to the file that says them`() throws {
    let loaded = load(
      [
        "routes.yaml": base,
        "env/over.yaml":
          "installed_apps: [echo, ./rooms]\napplications: {main: {websocket: [{include: more.yaml}, {path: r/, include: rooms}]}}",
        "env/more.yaml": "[{path: b/, consumer: echo}]",
        "env/rooms/app.yaml": "websocket_urlpatterns: [{path: c/, consumer: echo}]",
      ], overlays: ["env/over.yaml"])
    #expect(lines(loaded) == [])
    #expect(loaded.configuration?.served.webSocketRoutes.map(\.name) == ["b/", "r/c/"])
    #expect(
      loaded.files.map(\.path) == ["routes.yaml", "env/over.yaml", "env/rooms/app.yaml", "env/more.yaml"])
    let back = laid("applications: {main: {websocket: [{include: over.yaml}]}}")
    #expect(
      lines(back) == ["over.yaml:1:45 include-cycle: this include leads back to the file \"over.yaml\""])
  }

  @Test func `a file that is not there is told once, and nothing else is`() {
    let loaded = load(["routes.yaml": "x: 1", "produktion.yaml": ""], overlays: ["production.yaml"])
    #expect(lines(loaded) == ["unreadable-file: \"production.yaml\" cannot be read: there is no such file"])
    #expect(loaded.report.findings[0].hint == "did you mean \"produktion.yaml\"?")
    #expect(loaded.report.summary == "1 error, 0 warnings in routes.yaml with production.yaml")
  }

  @Test func `an empty file changes nothing, and laying on is associative`() throws {
    var generator = Generator(seed: 7)
    for _ in 0..<2000 {
      let trees = (0..<3).map { _ in generator.mapping(depth: 3) }
      let empty = generator.node(.mapping([]))
      var overlay = Overlay()
      #expect(shape(overlay.laid(empty, over: trees[0])) == shape(trees[0]))
      #expect(shape(overlay.laid(trees[0], over: empty)) == shape(trees[0]))
      let left = overlay.laid(trees[2], over: overlay.laid(trees[1], over: trees[0]))
      let right = overlay.laid(overlay.laid(trees[2], over: trees[1]), over: trees[0])
      #expect(shape(left) == shape(right))
      var union = Union()
      #expect(shape(union.united(trees[0], empty)) == shape(trees[0]))
      #expect(shape(union.united(trees[0], trees[0])) == shape(trees[0]))
    }
  }

  @Test func `no two files crash the loader`() {
    var generator = Generator(seed: 11)
    for _ in 0..<300 {
      let lower = generator.yaml(depth: 4)
      let upper = generator.yaml(depth: 4)
      let loaded = load(
        ["routes.yaml": lower, "over.yaml": upper, "a": "limits: {message: 1KiB}", "b": "[{path: x}]"],
        overlays: ["over.yaml"])
      #expect((loaded.configuration == nil) == (loaded.report.errorCount > 0))
    }
  }
}

struct LargeOverlayTests {
  @Test func `very many keys in both files take no time each for each`() {
    func keys(_ prefix: String, _ value: String) -> String {
      (0..<20_000).map { "  \(prefix)\($0): \(value)" }.joined(separator: "\n")
    }
    let start = ContinuousClock.now
    let loaded = laid(
      "limits:\n" + keys("a", "null") + "\n" + keys("b", "1"), over: "limits:\n" + keys("b", "2"))
    #expect(loaded.report.errorCount >= 20_000)
    #expect(ContinuousClock.now - start < .seconds(20))
  }
}

struct IncludedSettingsTests {
  @Test func `an included file brings keys of the top level, also below those that are there`() throws {
    let loaded = load([
      "routes.yaml": base + "\ninclude: [conf/limits.yaml, conf/log.yaml]",
      "conf/limits.yaml": "include: more.yaml\nlimits: {send_queue: 2KiB}",
      "conf/more.yaml": "shutdown: {grace: 7s}",
      "conf/log.yaml": "include: more.yaml\nlogging: {format: json}",
    ])
    #expect(lines(loaded) == [])
    let configuration = try #require(loaded.configuration)
    #expect(configuration.served.webSocketRoutes[0].limits.sendQueue == .kibibytes(2))
    #expect(configuration.served.webSocketRoutes[0].limits.message == .kibibytes(1))
    #expect(configuration.shutdown.grace == .seconds(7) && configuration.logging.format == .json)
    #expect(
      loaded.files.map(\.path) == ["routes.yaml", "conf/limits.yaml", "conf/more.yaml", "conf/log.yaml"])
  }

  @Test func `an empty file is told what it may be`() {
    func hint(_ texts: [String: String]) -> String? { load(texts).report.findings.first?.hint }
    let settings = hint(["routes.yaml": base + "\ninclude: more.yaml", "more.yaml": ""])
    #expect(settings == "write {} for a file that sets nothing")
    #expect(lines(load(["routes.yaml": base + "\ninclude: more.yaml", "more.yaml": "{}"])) == [])
    let lower = base.replacing("[{path: a/", with: "[{include: more.yaml}, {path: a/")
    #expect(hint(["routes.yaml": lower, "more.yaml": ""]) == "write [] for a file without routes")
    #expect(lines(load(["routes.yaml": lower, "more.yaml": "[]"])) == [])
  }

  @Test(arguments: [
    (
      "include: more.yaml", "limits: {message: 2KiB}",
      "more.yaml:1:10 duplicate-key: \"limits.message\" is given in two files"
    ),
    (
      "include: more.yaml", "limits: {ping: none}",
      "more.yaml:1:10 duplicate-key: \"limits.ping\" is given in two files"
    ),
    (
      "include: more.yaml", "include: routes.yaml",
      "more.yaml:1:10 include-cycle: this include leads back to the file \"routes.yaml\""
    ),
    (
      "include: mor.yaml", "",
      "routes.yaml:7:10 unreadable-file: \"mor.yaml\" cannot be read: there is no such file"
    ),
    (
      "include: more.yaml", "[{path: a/, consumer: echo}]",
      "routes.yaml:7:10 wrong-type: \"more.yaml\" is included at the top level, and has no keys: it is a list"
    ),
    (
      "include: more.yaml", "routes: []",
      "routes.yaml:7:10 wrong-type: \"more.yaml\" is included at the top level, and \"routes\" is no key of the top level"
    ),
    (
      "include: {a: b}", "",
      "routes.yaml:7:10 wrong-type: expected the name of a file for \"include\", found a mapping"
    ),
    (
      "include: [more.yaml, more.yaml]", "logging: {}",
      "routes.yaml:7:22 duplicate-name: the file \"more.yaml\" is included twice"
    ),
    (
      "include: more.yaml", "shutdown: {grce: 1s}",
      "more.yaml:1:12 unknown-key: unknown key \"grce\" in \"shutdown\""
    ),
    (
      "includ: more.yaml", "logging: {format: json}",
      "routes.yaml:7:1 unknown-key: unknown key \"includ\" in the file"
    ),
  ])
  func `a mistake is told once, at its place`(_ include: String, _ more: String, _ expected: String) {
    #expect(lines(load(["routes.yaml": base + "\n" + include, "more.yaml": more])) == [expected])
  }

  @Test func `hints name a file as it has to be written at the place of the include`() throws {
    let folder = try TemporaryFolder()
    try folder.write("[{path: a/, consumer: echo}]", as: "sub/deep/chat.yaml")
    try folder.write("{}", as: "sub/deep/auth.yaml")
    func hints(_ include: String, _ inner: String) throws -> [String?] {
      try folder.write(base + "\ninclude: " + include, as: "routes.yaml")
      try folder.write(inner, as: "sub/x.yaml")
      return ConfigurationLoader.load(path: folder.path("routes.yaml"), environment: ["PORT": "9"])
        .report.findings.map(\.hint)
    }
    #expect(try hints("sub/x.yaml", "include: deep/chats.yaml") == ["did you mean \"deep/chat.yaml\"?"])
    #expect(
      try hints("sub/x.yaml", "include: deep/chat.yaml")
        == ["routes are included at a route: websocket: [{include: deep/chat.yaml}]"])
    #expect(try hints("sub/*.yaml", "{}") == ["write the names: sub/x.yaml"])
    #expect(
      try hints("sub/deep/*.yaml", "{}") == ["write the names: sub/deep/auth.yaml, sub/deep/chat.yaml"])
  }

  @Test func `a key that two files give names both places`() throws {
    let loaded = load(["routes.yaml": base + "\ninclude: more.yaml", "more.yaml": "server: {threads: 3}"])
    let finding = try #require(loaded.report.findings.first)
    #expect(
      finding.range?.file.path == "more.yaml" && finding.related.map(\.range.file.path) == ["routes.yaml"])
    #expect(loaded.report.findings.count == 1)
  }

  @Test func `files that include each other without end are bounded`() {
    var texts = ["routes.yaml": base + "\ninclude: f0.yaml"]
    for number in 0..<100 { texts["f\(number).yaml"] = "include: f\(number + 1).yaml" }
    let loaded = load(texts)
    #expect(loaded.report.findings.map(\.code) == [.includeCycle])
    let many = load(
      ["routes.yaml": base + "\ninclude: [\((0..<100).map { "g\($0).yaml" }.joined(separator: ", "))]"]
        .merging((0..<100).map { ("g\($0).yaml", "{}") }) { first, _ in first })
    #expect(many.report.findings.map(\.code).contains(.includeCycle))
  }

  @Test func `a part alone is told to be one, and the rest of it is checked`() {
    let loaded = load([
      "routes.yaml": "limits: {mesage: 1KiB, rate: null}\nauth: {users: {jwt: {issuer: a}}}\nserver: ~"
    ])
    #expect(
      lines(loaded) == [
        "routes.yaml:1:1 missing-key: the file has neither \"installed_apps\" nor \"applications\", so it is no whole configuration",
        "routes.yaml:1:10 unknown-key: unknown key \"mesage\" in \"limits\"",
      ])
  }

  @Test func `the hash of all files is another one when any of them changes, and secrets are not part of it`()
  {
    func digest(_ texts: [String: String]) -> String { load(texts).files.digest }
    let texts = [
      "routes.yaml": base + "\ninclude: more.yaml",
      "more.yaml": "auth: {users: {jwt: {secret: {file: key}}}}", "key": "0123456789abcdef0123456789abcdef",
    ]
    #expect(load(texts).files.map(\.digest).map { $0 == nil } == [false, false, true])
    #expect(digest(texts).count == 64 && digest(texts) == digest(texts))
    #expect(digest(texts) != digest(texts.merging(["more.yaml": "{}"]) { $1 }))
    #expect(digest(texts) != digest(texts.merging(["routes.yaml": base]) { $1 }))
    #expect(digest(texts) == digest(texts.merging(["key": "another one, which is as long as that"]) { $1 }))
  }
}

// MARK: - Random trees

/// What a tree says, without its places; keys in any order.
private func shape(_ node: Node) -> String {
  switch node.content {
  case .scalar(let scalar): scalar.text
  case .sequence(let items): "[" + items.map(shape).joined(separator: ",") + "]"
  case .mapping(let entries):
    "{" + entries.map { "\($0.key.value):\(shape($0.value))" }.sorted().joined(separator: ",") + "}"
  }
}

private struct Generator {
  var seed: UInt64
  private let file = SourceFile(path: "random", text: [])

  init(seed: UInt64) { self.seed = seed }

  mutating func number(below bound: Int) -> Int {
    seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int((seed >> 33) % UInt64(bound))
  }

  func node(_ content: Node.Content) -> Node {
    Node(content, at: SourceRange(file: file, at: SourcePosition(line: 1, column: 1)))
  }

  mutating func mapping(depth: Int) -> Node {
    let names = ["a", "b", "c", "d"].filter { _ in number(below: 2) == 0 }
    let entries = names.map { name in
      Node.Entry(key: Located(name, at: node(.mapping([])).range), value: value(depth: depth - 1))
    }
    return node(.mapping(entries))
  }

  /// Mappings and lists only: a single value over a mapping over a mapping is not associative.
  private mutating func value(depth: Int) -> Node {
    depth > 0
      ? mapping(depth: depth) : node(.scalar(Node.Scalar(text: "\(number(below: 100))", style: .plain)))
  }

  private static let keys = [
    "installed_apps", "server", "bind", "limits", "ping", "interval", "auth", "users", "jwt", "secret", "env",
    "file", "applications", "main", "websocket", "routes", "path", "consumer", "include", "channel_layers",
    "default", "backend", "config", "hosts", "compression", "<<", "x",
  ]
  private static let words = [
    "null", "~", "echo", "a", "b", "1", "30s", "none", "true", "''", "${PORT}", "memory", "",
  ]

  mutating func yaml(depth: Int) -> String {
    switch number(below: depth > 0 ? 5 : 2) {
    case 0, 1: return Self.words[number(below: Self.words.count)]
    case 2:
      return "[" + (0..<number(below: 3)).map { _ in yaml(depth: depth - 1) }.joined(separator: ", ") + "]"
    default:
      return "{"
        + (0..<number(below: 5)).map { _ in
          "\(Self.keys[number(below: Self.keys.count)]): \(yaml(depth: depth - 1))"
        }
        .joined(separator: ", ") + "}"
    }
  }
}
