import Testing

@testable import GatewayConfig

/// Files in memory.
private struct Files: FileAccess {
  var files: [String: [UInt8]]
  var unreadable: Set<String> = []

  func contents(of path: String, as use: FileUse) -> Result<[UInt8], FileFault> {
    guard !unreadable.contains(path) else { return .failure(FileFault("Permission denied")) }
    return files[path].map { .success($0) } ?? .failure(FileFault("there is no such file"))
  }

  func isDirectory(_ path: String) -> Bool { path == "folder" }
  func isFile(_ path: String) -> Bool { files[path] != nil || unreadable.contains(path) }
  func names(in directory: String) -> [String] { directory == "folder" ? ["routes.yaml"] : ["folders"] }
  func isReadableByAll(_ path: String) -> Bool { false }
  func absolute(_ path: String) -> String { "/" + path }
}

private func report(
  _ text: String, environment: [String: String] = [:], isWithoutSecrets: Bool = false,
  unreadable: Set<String> = []
) -> FindingReport {
  ConfigurationLoader.load(
    path: "routes.yaml", environment: environment,
    files: Files(files: ["routes.yaml": Array(text.utf8)], unreadable: unreadable),
    secrets: isWithoutSecrets ? .unread : .read
  ).report
}

private let echo = "applications: {main: {websocket: [{path: e/, consumer: echo}]}}\n"

/// Secrets in all places where one may stand.
struct SecretPlaceTests {
  /// `VALUE` stands for the secret.
  static let all = [
    "auth: {a: {jwt: {secret: VALUE}}}",
    "auth:\n  a:\n    jwt:\n      secret: VALUE",
    "auth: {a: {jwt: {SIGNING_KEY: VALUE}}}",
    "auth: {a: {jwt: {secrte: VALUE}}}",
    "auth: {jwt: {secret: VALUE}}",
    "server: {tls: {certificate: a.pem, key: a.key, passphrase: VALUE}}",
    "channel_layers: {default: {backend: redis, config: {symmetric_encryption_keys: [VALUE]}}}",
    "channel_layers: {default: {backend: redis, config: {symmetric_encryption_keys: [{env: A}, VALUE]}}}",
    "channel_layers: {default: {backend: redis, config: {hosts: [{host: h, password: VALUE}]}}}",
    "channel_layers: {default: {backend: redis, config: {host: h, port: 1, password: VALUE}}}",
    "channel_layers: {default: {backend: redis, config: {hosts: [{master_name: m, sentinels: [[h, 1]], sentinel_kwargs: {password: VALUE}}]}}}",
  ]
  static let routes = [
    "{path: p/, publish: {groups: x, token: VALUE}}",
    "{path: p/, publish: {groups: x, token: [{env: A}, VALUE]}}",
  ]

  static let values = [
    "\"geheim5$KEYBBBB\"", "geheim5$KEYBBBB", "\"$KEYBBBB\"", "$KEYBBBB", "{KEYBBBB}", "{KEYBBBB: geheim}",
    "[geheim]",
    "geheim{KEYBBBB}x", "\u{201C}geheim\u{201D}", "{env: geheim+KEYBBBB}", "{env: \"${SECRET}\"}",
    "{file: \"${SECRET}\"}", "\"${geheim KEYBBBB}\"",
  ]

  @Test func `no finding repeats a part of a secret`() {
    let files =
      Self.all.map { $0 + "\ninstalled_apps: [echo]\n" + echo }
      + Self.routes.map {
        "installed_apps: [echo]\nchannel_layers: {default: {backend: memory}}\napplications: {main: {http: [\($0)]}}\n"
      }
    for file in files {
      for value in Self.values {
        let report = report(
          file.replacing("VALUE", with: value), environment: ["SECRET": "geheimKEYBBBBgeheimKEYBBBB"])
        #expect(!report.findings.isEmpty)
        for format in [FindingFormat.text, .json, .sarif, .github] {
          let text = report.rendered(format)
          #expect(!text.contains("geheim") && !text.contains("KEYBBBB"), "\(file) \(value) \(text)")
        }
      }
    }
  }

  @Test func `no line with a secret is shown of a file that cannot be read to its end`() {
    let files = [
      "auth: {a: {jwt: {secret: \"geheim5$KEYBBBB\"}}}\nlogging: {level: [}\n",
      "auth:\n  a:\n    jwt:\n      secret: \"geheim5\n",
      "k:\n  symmetric_encryption_keys:\n    - \"geheim5\n",
      "channel_layers: {default: {backend: redis, config: {hosts: [\"redis://:geheim${UNSET}@h/0\"]}}}\n",
    ]
    for file in files { #expect(!rendered(file).contains("geheim"), "\(rendered(file))") }
  }

  @Test(arguments: ["$TOKEN", "${TOKEN}", "\"${TOKEN}\""])
  func `env takes the name of a variable, and never shows its value`(_ value: String) {
    for environment in [[:], ["TOKEN": "geheim5KEYBBBB"]] {
      let report = report(
        "installed_apps: [echo]\nauth:\n  a:\n    jwt:\n      secret:\n        env: \(value)\n" + echo,
        environment: environment)
      #expect(report.findings.map(\.hint) == ["write env: TOKEN, without \"$\""])
      #expect(!report.rendered(.text).contains("geheim"))
    }
  }

  @Test func `the password in an address is not repeated, and the variable of a whole address is`() {
    func report(of host: String) -> String {
      sluice("channel_layers: {default: {backend: redis, config: {hosts: [\"\(host)\"]}}}")
    }
    func sluice(_ layers: String) -> String {
      rendered("installed_apps: [echo]\n" + layers + "\n" + echo)
    }
    #expect(!report(of: "redis://:geheim$KEYBBBB@h/0").contains("KEYBBBB"))
    #expect(report(of: "$REDIS_URL").contains("\"$REDIS_URL\" is text here"))
    #expect(!sluice("auth: {a: {callback: {url: \"user:geheim@h/me/\"}}}").contains("geheim\" is"))
  }
}

private func rendered(_ file: String) -> String { report(file).rendered(.text) }

struct OneSlipTests {
  private static let head =
    "installed_apps: [echo, chat, broadcast]\nchannel_layers: {default: {backend: memory}}\n"

  private struct Case {
    var text: String
    /// `LINE:COLUMN` of the one finding.
    var place: String
    /// What it says or proposes.
    var part: String

    init(_ texts: [String], _ place: String, _ part: String) {
      text = texts.joined()
      self.place = place
      self.part = part
    }
  }

  private static let cases: [Case] = [
    // Among free names.
    Case(
      [
        head,
        "applications:\n  main:\n    websocket:\n      - path: e/\n        consumer: echo\n  allowed_hosts: [a.example]\n",
      ], "8:3", "indent it to column 9"),
    Case(
      [
        "installed_apps: [echo]\nchannel_layers:\n  default:\n    backend: redis\n  config:\n    hosts: [\"redis://h\"]\n",
        echo,
      ], "5:3", "indent it to column 5"),
    Case(
      [
        head, "auth:\n  users:\n    jwt:\n      secret: {file: key}\n      leeway: 1s\n  from: [header]\n",
        echo,
      ], "8:3", "indent it to column 7"),
    Case(
      [
        head, "auth:\n  users:\n    jwt:\n      secret: {file: key}\n      leeway: 1s\n    from: [header]\n",
        echo,
      ], "8:5", "indent it to column 7"),
    Case(
      [
        head,
        "applications:\n  main:\n    websocket:\n      - path: c/\n        consumer: broadcast\n        group: g\n        events:\n          topic.changed: event\n        topic.moved: event\n",
      ], "11:9", "indent it to column 11"),
    Case(
      [head, "applications:\n  websocket:\n    - {path: e/, consumer: echo}\n"], "4:3",
      "needs the name of an application before \"websocket\""),
    Case(
      ["installed_apps: [echo]\nchannel_layers: {backend: memory}\n", echo], "2:18",
      "needs the name of a layer"),
    Case(
      [
        head,
        "auth: {jwt: {secret: {file: key}}}\napplications: {main: {websocket: [{path: e/, consumer: echo, auth: users}]}}\n",
      ], "3:8", "needs the name of an authenticator"),
    // Notation.
    Case(
      [
        head,
        "applications:\n  main:\n    websocket:\n      - path: a/\n        consumer chat\n        group: x\n",
      ], "7:9", "there is no \":\" after \"consumer\""),
    Case(
      [
        head,
        "applications:\n  main:\n    websocket:\n      - path: <slug:room>/\n        consumer: chat\n        group: {room}_chat\n",
      ], "8:16", "put it in quotes: \"{room}_chat\""),
    Case(
      [head, "auth:\n  a: {jwt: {secret: {file: key}}}}}\n", echo], "4:34", "the line has 2 \"}\" too many"),
    Case(
      [
        head,
        "applications:\n  main:\n    websocket:\n      - path: a/\n        consumer: broadcast\n        group: g\n        events: {t: {topic:\"{topic}\"}}\n",
      ], "9:22", "no space after \"topic:\""),
    Case(
      [head, "auth:\n  a:\n    callback: http://127.0.0.1:1/me/\n", echo], "5:15", "callback: {url: URL}"),
    Case(
      [head, "auth:\n  a: {callback: {url: \"127.0.0.1:21011/me/\"}}\n", echo], "4:23",
      "write http://127.0.0.1:21011/me/"),
    Case(
      [head, "applications: {main: {websocket: [{path: e/, consumer: echo, auth: true}]}}\n"], "3:68",
      "the name of an authenticator"),
    Case(
      [head, "applications: {main: {websocket: [{path: e/, history: {messages: 5}}]}}\n"], "3:36",
      "needs a consumer"),
    Case(
      [
        head,
        "applications:\n  main:\n    websocket:\n      - path: a/\n        consumer: echo\n        allowed_hosts: *\n",
      ], "8:24", "write [\"*\"]"),
    Case(
      [
        head,
        "applications:\n  main:\n    websocket:\n      - path: a/\n        consumer: echo\n        allowed_hosts: [*]\n",
      ], "8:25", "write [\"*\"]"),
    Case(
      [head, "applications:\n  main:\n    websocket:\n      * path: a/\n        consumer: echo\n"], "6:7",
      "begin it with \"- \""),
    // One slip.
    Case(
      [
        head,
        "applications:\n  main:\n    websocket:\n      - path: a/\n        consumer: echo\n        path: b/\n        consumer: chat\n        group: x\n",
      ], "8:9", "put \"- \" before it"),
    Case(
      [
        head,
        "applications:\n  main:\n    websocket:\n      - path: a/\n        consumer: echo\n      path: b/\n      consumer: chat\n      group: x\n",
      ], "8:7", "put \"- \" before"),
    Case(
      [
        head,
        "applications:\n  main:\n    websocket:\n      path: a/\n      consumer: echo\n      path: b/\n      consumer: chat\n      group: x\n",
      ], "6:7", "put \"- \" before the route"),
    Case(
      [head.replacing("[echo, chat, broadcast]", with: "echo, chat"), echo], "1:17", "write [echo, chat]"),
    Case(
      [
        "installed_apps: [chat]\nchannel_layers: {defualt: {backend: memory}}\napplications: {main: {websocket: [{path: a/, consumer: chat, group: a}, {path: b/, consumer: chat, group: b}]}}\n"
      ], "3:56", "defualt"),
    Case(
      [
        "installed_apps: [echo]\nchannel_layers: {default: {backend: redis, config: {host: h, port: 6379}}}\n",
        echo,
      ], "2:53", "hosts: [\"redis://127.0.0.1:6379/0\"]"),
    Case(
      [
        head,
        "applications: {main: {websocket: [{path: \"a/{room}/\", consumer: chat, group: \"x_{room}\"}]}}\n",
      ], "3:42", "write a/<slug:room>/"),
    Case(
      [
        head,
        "applications: {main: {websocket: [{path: \"a/:room/\", consumer: chat, group: \"x_{room}\"}]}}\n",
      ], "3:42", "write a/<slug:room>/"),
    Case(
      [
        head,
        "applications:\n  main:\n    websocket:\n      -path: a/\n        consumer: echo\n      - path: b/\n        consumer: echo\n",
      ], "6:7", "put a space after the \"-\""),
    Case(
      [head, "auth: {a: {callback: {url:http://127.0.0.1:1/me/}}}\n", echo], "3:23", "no space after \"url:\""
    ),
    // What was silent.
    Case(
      [head, "applications: {main: {websocket: [{path: path('ws/me/'), consumer: echo}]}}\n"], "3:42",
      "write ws/me/"),
    Case([head, events("evnt")], "9:29", "write event for the whole event"),
    Case([head, events("true")], "9:29", "write event for the whole event"),
    Case([head, events("{topic: \"{event.topic}\"}")], "9:37", "write {topic}"),
    Case([head, events("\"{{topic}}\"")], "9:29", "clients get the text \"{topic}\""),
    Case([head, events("'{\"topic\": \"{topic}\"}'")], "9:29", "without the outer quotes"),
    Case(
      [
        head,
        "applications: {main: {http: [{path: p/, publish: {groups: [\"chat-*\"], anonymous: true}}], websocket: [{path: <slug:room>/, consumer: chat, group: \"chat_{room}\"}]}}\n",
      ], "3:60", "did you mean \"chat_*\"?"),
    Case(
      [
        head,
        "applications: {main: {http: [{path: p/, publish: {groups: [\"chat_.*\"], anonymous: true}}], websocket: [{path: <slug:room>/, consumer: chat, group: \"chat_{room}\"}]}}\n",
      ], "3:60", "write \"chat_*\""),
    Case([head, "server: {ssl_certificate: a}\n", echo], "3:10", "tls: {certificate: FILE, key: FILE}"),
    Case([head, "server: {server_name: a}\n", echo], "3:10", "for every host"),
    Case(
      [
        head,
        "applications: {main: {websocket: [{path: a/, consumer: broadcast, group: g, publish: {groups: [x]}}]}}\n",
      ], "3:77", "under \"http\""),
    Case(
      [
        "installed_apps: [echo]\nchannel_layers: {default: {backend: redis, config: {hosts: ['${REDIS_URL}']}}}\n",
        echo,
      ], "2:61", "double quotes"),
    Case([head, "server: {bind: \":21030\"}\n", echo], "3:16", "write 127.0.0.1:21030"),
    Case([head, "server: {bind: \"127.0.0.1:99999\"}\n", echo], "3:16", "a port is a number"),
  ]

  private static func events(_ value: String) -> String {
    """
    applications:
      main:
        websocket:
          - path: a/
            consumer: broadcast
            group: g
            events: {t.changed: \(value)}

    """
  }

  @Test func `one slip is one finding, at its place, with what to write`() {
    for slip in Self.cases {
      let (file, place, part) = (slip.text, slip.place, slip.part)
      // The key file exists only in the cases that name it.
      let found = ConfigurationLoader.load(
        path: "routes.yaml", environment: [:],
        files: Files(files: ["routes.yaml": Array(file.utf8), "key": Array(repeating: 0x61, count: 40)])
      ).report
      let shown = found.rendered(.text)
      #expect(found.findings.count == 1, "\(file)\n\(shown)")
      let start = found.findings.first?.range?.start
      #expect(start.map { "\($0.line):\($0.column)" } == place, "\(file)\n\(shown)")
      #expect(shown.contains(part), "\(part) \(shown)")
    }
  }

  @Test func `a file that is not UTF-8 is told with the byte, and to save it as UTF-8`() {
    func finding(_ bytes: [UInt8]) -> (Finding?, String) {
      let report = ConfigurationLoader.load(
        path: "routes.yaml", environment: [:], files: Files(files: ["routes.yaml": bytes])
      )
      .report
      return (report.findings.first, report.rendered(.text))
    }
    let (latin, _) = finding(Array("a: b\nc: caf".utf8) + [0xE9] + Array("/\n".utf8))
    #expect(latin?.range?.start == SourcePosition(line: 2, column: 7))
    #expect(latin?.hint?.contains("save the file as UTF-8") == true)
    let (wide, text) = finding([0xFF, 0xFE] + "a: b\n".utf8.flatMap { [$0, 0] })
    #expect(wide?.hint == "save the file as UTF-8")
    #expect(!text.contains("\u{FFFD}") && !text.contains(" | "))
  }

  @Test func `a folder in place of a file names the file in it`() {
    let report = ConfigurationLoader.load(path: "folder", environment: [:], files: Files(files: [:])).report
    #expect(report.findings.map(\.hint) == ["did you mean \"folder/routes.yaml\"?"])
  }

  @Test func `a secret whose variable is not set gets no hint to write it into the file`() {
    let report = report("installed_apps: [echo]\nauth: {a: {jwt: {secret: {env: KEY}}}}\n" + echo)
    #expect(report.findings.first?.hint == "set it, or write {file: PATH}")
  }

  @Test func `without secrets, a secret that exists and cannot be read is a warning`() {
    let text = "installed_apps: [echo]\nauth: {a: {jwt: {secret: {file: key}}}}\n" + echo
    #expect(report(text, isWithoutSecrets: true).findings.isEmpty)
    let found = report(text, isWithoutSecrets: true, unreadable: ["key"]).findings
    #expect(found.map(\.code) == [.unreadableFile] && found.map(\.severity) == [.warning])
  }

  @Test func `runs over different files have different categories, however long their names are`() {
    func category(_ last: String) -> String {
      let paths = (0..<40).map { "configuration/\($0).yaml" } + [last]
      let text = FindingReport.rendered(paths.map { FindingReport(path: $0, findings: []) }, .sarif)
      return String(text.split(separator: "\"").first { $0.hasPrefix("sluice/") } ?? "")
    }
    #expect(category("a.yaml") != category("b.yaml"))
    #expect(category("a.yaml") == category("a.yaml") && category("a.yaml").utf8.count <= 210)
  }
}
