import Foundation
import JSON
import LayerTestSupport
import Testing

@testable import GatewayConfig

private let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent()

/// The configurations of the repository, by their paths from its root.
private let shipped: [String] = {
  let good = root.appending(path: "Tests/GatewayConfigTests/Fixtures/good")
  let fixtures = (try? FileManager.default.contentsOfDirectory(atPath: good.path)) ?? []
  let examples =
    (try? FileManager.default.contentsOfDirectory(atPath: root.appending(path: "examples").path)) ?? []
  let all =
    ["routes.yaml"] + examples.map { "examples/\($0)/routes.yaml" }
    + fixtures.filter { $0.hasSuffix(".yaml") }.map { "Tests/GatewayConfigTests/Fixtures/good/\($0)" }
  return all.filter { FileManager.default.fileExists(atPath: root.appending(path: $0).path) }.sorted()
}()

private let environment = [
  "REDIS_PASSWORD": "hunter2hunter2hunter2", "PUBLISH_TOKEN": "fedcba9876543210", "PORT": "9000",
  "SIGNING_KEY": "0123456789abcdef0123456789abcdef", "SLUICE_SECRET": "0123456789abcdef0123456789abcdef",
]

/// Everything that a value holds, without the places in files.
private func facts(_ value: Any) -> String {
  if value is SourceRange || value is SourceFile { return "" }
  if let secret = value as? Secret { return "\(secret.bytes)" }
  let mirror = Mirror(reflecting: value)
  let name = "\(mirror.subjectType)"
  // A tree that was read has places only, and what was read of it stands beside it.
  if name == "Node" { return "" }
  guard !mirror.children.isEmpty else { return "\(name) \(value)" }
  // As places do, what is written says which text it was.
  let children = mirror.children.filter { $0.label != "written" }.map {
    "\($0.label ?? "")=\(facts($0.value))"
  }
  let isOrdered = mirror.displayStyle != .set && mirror.displayStyle != .dictionary
  return "\(name)(" + (isOrdered ? children : children.sorted()).joined(separator: ",") + ")"
}

extension EffectiveConfiguration {
  fileprivate init?(_ loaded: LoadedConfiguration, overrides: [Override] = [], defaults: Bool = false) {
    guard let configuration = loaded.configuration else { return nil }
    self.init(configuration, overrides: overrides, defaults: defaults)
  }
}

private func effective(_ text: String, defaults: Bool = false, _ more: [String: String] = [:]) throws
  -> EffectiveConfiguration
{
  let files = MemoryFiles(text: text)
  let loaded = ConfigurationLoader.load(
    path: "routes.yaml", environment: environment.merging(more) { $1 }, files: files)
  for finding in loaded.report.findings where finding.severity == .error {
    Issue.record("\(finding.message)")
  }
  return try #require(EffectiveConfiguration(loaded, defaults: defaults))
}

private let end = "applications: {main: {websocket: [{path: a/, consumer: echo}]}}\n"

struct EffectiveConfigurationTests {
  @Test(arguments: shipped, [false, true])
  func `what is printed of a file is the same configuration`(_ name: String, _ defaults: Bool) throws {
    let path = root.appending(path: name).path
    let loaded = ConfigurationLoader.load(path: path, environment: environment)
    let configuration = try #require(loaded.configuration, "\(loaded.report.rendered(.text))")
    let text = try #require(EffectiveConfiguration(loaded, defaults: defaults)).yaml
    let again = ConfigurationLoader.load(
      path: path, environment: environment, files: MemoryFiles([path: text], over: Disk()))
    let printed = try #require(again.configuration, "\(text)\n\(again.report.rendered(.text))")
    let (one, other) = (facts(configuration), facts(printed))
    #expect(one == other, "\(text)")
    #expect(one.count > 500)
  }

  @Test func `files that are laid over each other are printed as one, also from other folders`() throws {
    let folder = root.appending(path: "examples/environments").path
    let overlays = ["\(folder)/production.yaml", "\(folder)/staging.yaml"]
    let loaded = ConfigurationLoader.load(
      path: "\(folder)/routes.yaml", overlays: overlays, environment: environment)
    let configuration = try #require(loaded.configuration, "\(loaded.report.rendered(.text))")
    let text = try #require(EffectiveConfiguration(loaded)).yaml
    #expect(text.contains("connections: 500"))
    let again = ConfigurationLoader.load(
      path: "\(folder)/routes.yaml", environment: environment,
      files: MemoryFiles(["\(folder)/routes.yaml": text], over: Disk()))
    #expect(facts(configuration) == facts(try #require(again.configuration)))
  }

  @Test func `each value has its origin`() throws {
    let text = try effective(
      """
      installed_apps: [echo]
      server: {bind: "127.0.0.1:${PORT}", threads: "${THREADS:-2}"}
      limits: {message: 1KiB}
      \(end)
      """
    ).yaml
    #expect(
      text == """
        # routes.yaml, as it is in force
        installed_apps: [echo]    # routes.yaml:1
        server:
          bind: '127.0.0.1:9000'  # routes.yaml:2, ${PORT} of the environment
          threads: 2              # routes.yaml:2, the default of ${THREADS}
        limits:
          message: 1KiB           # routes.yaml:3
        applications:
          main:
            websocket:
              - path: a/          # routes.yaml:4
                consumer: echo    # routes.yaml:4

        """)
  }

  @Test func `options of the command line and standard values have theirs`() throws {
    let loaded = ConfigurationLoader.load(
      path: "routes.yaml", environment: [:],
      files: MemoryFiles(text: "installed_apps: [echo]\nlogging: {format: text}\n" + end))
    let overrides = [
      EffectiveConfiguration.Override(["server", "bind"], ["0.0.0.0:1", "unix:/a"], by: "--bind"),
      EffectiveConfiguration.Override(["logging", "format"], ["json"], by: "--log-format"),
    ]
    let text = try #require(EffectiveConfiguration(loaded, overrides: overrides, defaults: true)).yaml
    #expect(text.contains("\n    - 0.0.0.0:1") || text.contains("bind: ['0.0.0.0:1', 'unix:/a']"))
    #expect(text.contains(/format: json +# --log-format\n/))
    #expect(text.contains(/message: 1MiB +# default\n/))
    #expect(text.contains("  # threads: one for each processor\n"))
    #expect(text.contains(/grace: 10s +# default\n/))
  }

  @Test func `no secret is printed, whatever it is written in`() throws {
    let secret = "hunter2hunter2hunter2hunter2hunter2"
    let effective = try effective(
      """
      installed_apps: [echo, proxy, view]
      channel_layers:
        default:
          backend: redis
          config:
            hosts:
              - "redis://user:\(secret)@one:6379/0"
              - ${URL}
              - {address: "redis://:${PASSWORD}@three/0"}
              - {host: four, password: "\(secret)"}
              - {address: "rediss://five?password=\(secret)&db=3"}
              - {env: URL}
            symmetric_encryption_keys: ["\(secret)", {env: PASSWORD}, "${PASSWORD}"]
      auth:
        users: {jwt: {secret: "${PASSWORD:-x}"}}
        site: {callback: {url: "http://127.0.0.1/me?api_key=\(secret)"}}
      applications:
        main:
          http:
            - {path: p/, publish: {groups: "*", token: ["\(secret)", "${PASSWORD}"]}}
            - {path: r/, respond: "${PASSWORD}"}
          websocket:
            - {path: a/, consumer: view, url: "http://127.0.0.1/v/", secret: "${PASSWORD}"}
      """, ["URL": "redis://:\(secret)@two:1/0", "PASSWORD": secret])
    for output in [effective.yaml, effective.json.text] {
      #expect(!output.contains("hunter2"))
      #expect(output.contains("redis://user:***@one:6379/0") && output.contains("redis://:***@two:1/0"))
      #expect(output.contains("redis://:***@three/0") && output.contains("rediss://five?password=***&db=3"))
      #expect(output.contains("http://127.0.0.1/me?api_key=***"))
      #expect(output.contains("${PASSWORD}"))
    }
    #expect(effective.yaml.contains(/env: URL +# routes/))
    #expect(
      effective.yaml.contains(
        /respond: "\${PASSWORD}" +# routes.yaml:21, \${PASSWORD} of the environment, not shown/))
  }

  @Test func `a secret in place of the name of its file is not printed`() throws {
    let secret = "hunter2hunter2hunter2hunter2hunter2"
    let file = """
      installed_apps: [echo]
      auth:
        users: {jwt: {secret: {file: "${SECRET}"}}}
        others: {jwt: {secret: {file: "${NOWHERE:-secret.txt}"}}}
        keys: {jwt: {public_key: "${SECRET}"}}
      \(end)
      """
    let loaded = ConfigurationLoader.load(
      path: "routes.yaml", environment: ["SECRET": secret], files: MemoryFiles(text: file),
      secrets: .unreadAlone)
    let written = try #require(loaded.written)
    let shown = EffectiveReader(folder: "", namedFiles: written.namedFiles, defaults: false)
      .read(written.document, .mapping(.file), under: nil)
    var texts: [String] = []
    func collect(_ value: EffectiveValue) {
      switch value.content {
      case .scalar(let scalar): texts.append(scalar.text)
      case .list(let items): items.forEach(collect)
      case .mapping(let entries): entries.forEach { collect($0.value) }
      case .words: break
      }
    }
    collect(shown)
    #expect(!texts.contains { $0.contains("hunter2") })
    #expect(texts.contains("${SECRET}") && texts.contains("secret.txt"))
  }

  @Test func `names of files in an included file are those of the same files, sockets too`() throws {
    func config(_ server: String, _ environment: [String: String] = [:], at path: String = "routes.yaml")
      throws
      -> String
    {
      let folder = path == "routes.yaml" ? "" : "etc/"
      let files = [
        path: "installed_apps: [echo]\ninclude: conf/server.yaml\n\(end)",
        folder + "conf/server.yaml": server,
      ]
      let loaded = ConfigurationLoader.load(path: path, environment: environment, files: MemoryFiles(files))
      let text = try #require(EffectiveConfiguration(loaded), "\(loaded.report.rendered(.text))").yaml
      // What is printed means the same.
      let again = ConfigurationLoader.load(
        path: path, environment: environment, files: MemoryFiles([path: text]))
      #expect(again.configuration?.server.admin == loaded.configuration?.server.admin)
      #expect(again.configuration?.server.bind == loaded.configuration?.server.bind)
      return text
    }
    let variable = ["SOCKET": "unix:admin.sock", "FILE": "../admin.sock"]
    #expect(try config("server: {admin: \"unix:admin.sock\"}").contains("admin: 'unix:conf/admin.sock' "))
    #expect(try config("server: {admin: \"unix:/admin.sock\"}").contains("admin: 'unix:/admin.sock' "))
    #expect(
      try config("server: {admin: {address: \"unix:admin.sock\"}}", at: "etc/routes.yaml")
        .contains("address: 'unix:conf/admin.sock' "))
    #expect(try config("server: {admin: \"${SOCKET}\"}", variable).contains("unix:conf/admin.sock"))
    #expect(
      try config("server: {admin: \"unix:${FILE}\"}", variable, at: "etc/routes.yaml")
        .contains("unix:admin.sock"))
    // No name of a file.
    #expect(
      try config("auth: {users: {jwt: {jwks: \"https://h/keys\"}}}").contains("jwks: 'https://h/keys' "))
    // Relative to the working folder, wherever it is written.
    #expect(try config("server: {bind: \"unix:web.sock\"}").contains("bind: 'unix:web.sock' "))
  }

  @Test(arguments: [
    ("redis://a:b@c/0", "redis://a:***@c/0"), ("redis://:b@c", "redis://:***@c"),
    ("http://token@c/d", "http://***@c/d"),
    ("http://c/@d", "http://c/@d"), ("http://c:80/@d", "http://c:80/@d"),
    ("http://a:b/c@d/e", "http://a:***@d/e"),
    ("http://a:b@c@d/", "http://a:***@d/"), ("http://a?token=b&x=1", "http://a?token=***&x=1"),
    ("http://a?x_key=b", "http://a?x_key=***"), ("http://a?token={token}", "http://a?token={token}"),
    ("unix:///a@b", "unix:///a@b"), ("unix://:p@/a", "unix://:***@/a"), ("nothing @ all", "nothing @ all"),
    ("://", "://"),
    ("redis://a:@c", "redis://a:***@c"), ("http://[::1]:80/", "http://[::1]:80/"),
    ("http://[::1]/@a", "http://[::1]/@a"),
  ])
  func `an address is shown without its password`(_ address: String, _ shown: String) {
    #expect(MaskedAddress(address).text == shown)
  }

  @Test(arguments: [
    ("'a b'", "'a b'"), ("a b", "a b"), ("'a: b'", "'a: b'"), ("\"it's\"", "'it''s'"), ("it's", "it's"),
    ("\"a\\nb\"", "\"a\\nb\""), ("'- a'", "'- a'"), ("-1", "-1"), ("'-1'", "'-1'"), ("'a #b'", "'a #b'"),
    ("\"$${X}\"", "'${X}'"), ("'${X}'", "'${X}'"), ("$${X}", "'${X}'"), ("\"a\\n$${X}\"", "\"a\\n$${X}\""),
    ("''", "''"), ("'@a'", "'@a'"), ("a,b]", "a,b]"), ("|\n      a\n      b", "\"a\\nb\""), ("<a>", "<a>"),
  ])
  func `texts are written so that they are read as themselves`(_ given: String, _ written: String) throws {
    let file = """
      installed_apps: [echo]
      applications:
        main:
          http:
            - path: a/
              respond: {status: 201}
            - path: b/
              respond:
                body: GIVEN
      """.replacing("GIVEN", with: given.replacing("\n", with: "\n      "))
    func body(_ text: String) throws -> [UInt8] {
      let loaded = ConfigurationLoader.load(
        path: "routes.yaml", environment: ["X": "wrong"], files: MemoryFiles(text: text))
      let configuration = try #require(loaded.configuration, "\(text)\n\(loaded.report.rendered(.text))")
      guard case .respond(let response) = configuration.served.httpRoutes[1].action else { return [] }
      return response.body
    }
    let printed = try effective(file, ["X": "wrong"]).yaml
    #expect(printed.contains("body: \(written) "), "\(printed)")
    #expect(try body(printed) == body(file))
  }
}
