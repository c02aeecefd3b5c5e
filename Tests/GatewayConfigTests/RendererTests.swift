import JSON
import TestSupport
import Testing

@testable import GatewayConfig

/// One file in memory.
private struct OneFile: FileAccess {
  var text: String
  var path = "routes.yaml"

  func contents(of path: String, as use: FileUse) -> Result<[UInt8], FileFault> {
    path == self.path ? .success(Array(text.utf8)) : .failure(FileFault("there is no such file"))
  }

  func isDirectory(_ path: String) -> Bool { false }
  func names(in directory: String) -> [String] { ["routes.yaml"] }
  func isReadableByAll(_ path: String) -> Bool { false }
  func absolute(_ path: String) -> String { "/" + path }
}

private func report(_ text: String) -> FindingReport {
  ConfigurationLoader.load(path: "routes.yaml", environment: [:], files: OneFile(text: text)).report
}

private let broken = """
  installed_apps: [echo]
  applications:
    main:
      websocket:
        - path: ws/é/
          consumr: echo
  """

struct RendererTests {
  @Test func `people see the line, carets and what to do`() {
    #expect(
      report(broken).rendered(.text) == """
        error[unknown-key]: unknown key "consumr" in a websocket route
         --> routes.yaml:6:9
          |
        6 |         consumr: echo
          |         ^^^^^^^ did you mean "consumer"?

        1 error, 0 warnings in routes.yaml

        """)
  }

  @Test func `a missing file is said in words, with the nearest name`() {
    let missing = ConfigurationLoader.load(path: "route.yaml", environment: [:], files: OneFile(text: ""))
    #expect(
      missing.report.rendered(.text) == """
        error[unreadable-file]: "route.yaml" cannot be read: there is no such file
          = did you mean "routes.yaml"?

        1 error, 0 warnings in route.yaml

        """)
  }

  @Test func `a related place is shown too`() {
    let text = report(broken.replacing("consumr", with: "consumer") + "\n      path: a/\n").rendered(.text)
    #expect(text.contains("error[yaml-syntax]") || text.contains("duplicate"))
  }

  @Test func `a byte order mark and Windows line ends change nothing`() {
    let windows = "\u{FEFF}" + broken.replacing("\n", with: "\r\n")
    #expect(report(windows).rendered(.text) == report(broken).rendered(.text))
  }

  @Test func `programs get JSON`() {
    #expect(
      report(broken).rendered(.json)
        == #"{"file":"routes.yaml","errors":1,"warnings":0,"findings":[{"severity":"error","code":"unknown-key","#
        + #""message":"unknown key \"consumr\" in a websocket route","hint":"did you mean \"consumer\"?","#
        + #""path":"routes.yaml","line":6,"column":9,"endLine":6,"endColumn":16,"related":[]}]}"# + "\n")
  }

  @Test func `GitHub gets annotations`() {
    #expect(
      report(broken).rendered(.github)
        == "::error file=routes.yaml,line=6,col=9,endColumn=16,title=unknown-key::"
        + "unknown key \"consumr\" in a websocket route: did you mean \"consumer\"?\n")
  }

  @Test func `a line with a secret is not shown, whatever the finding about it`() {
    let text = report(
      """
      installed_apps: [echo]
      channel_layers:
        default: {backend: redis, config: {symmetric_encryption_keys: [hunter2], prefx: a}}
      applications: {main: {websocket: [{path: a/, consumer: echo}]}}
      """)
    #expect(Set(text.findings.map(\.code)) == [.plainSecret, .unknownKey])
    for format in FindingFormat.allCases { #expect(!text.rendered(format).contains("hunter2")) }
    #expect(text.rendered(.text).contains("  = did you mean \"prefix\"?"))
  }

  @Test func `of a long line the part around the carets is shown`() {
    let names = (0..<3000).map { "name\($0)" }.joined(separator: ", ")
    let text = report("installed_apps: [\(names)]\napplications: {main: {websocket: []}}\n").rendered(.text)
    #expect(text.utf8.count < 3000 * 700)
    let lines = text.split(separator: "\n")
    for (line, carets) in zip(lines, lines.dropFirst()) where carets.contains("^^^^^^^") {
      let start = carets.firstIndex(of: "^") ?? carets.startIndex
      let column = carets.distance(from: carets.startIndex, to: start)
      #expect(line.dropFirst(column).hasPrefix("name"))
    }
  }

  @Test func `what a terminal would obey is escaped`() {
    let text = report("installed_apps: [\"a\\e[31m\"]\n# \u{85}\napplications: {}\n").rendered(.text)
    #expect(text.contains(#""a\u{1b}[31m""#))
    #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || $0.properties.generalCategory != .control })
  }

  @Test func `a line break in a message does not end a GitHub annotation`() {
    let text = report("installed_apps: [\"a\\r\\nb\"]\napplications: {main: {websocket: []}}\n")
    #expect(text.rendered(.github).contains("a%0D%0Ab"))
    #expect(text.rendered(.github).split(whereSeparator: \.isNewline).allSatisfy { $0.hasPrefix("::") })
  }

  @Test func `what a terminal would obey stands in no annotation`() {
    let text = report("installed_apps: [\"a\\e[31m\\tb\"]\napplications: {main: {websocket: []}}\n")
    #expect(text.rendered(.github).contains(#"a\u{1b}[31m\u{9}b"#))
  }

  private func parsed(_ text: String) throws -> JSON {
    try unsafe JSON.parse(Array(text.utf8).span.bytes)
  }

  @Test func `several files are one document`() throws {
    let json = try parsed(FindingReport.rendered([report(broken), report(broken)], .json))
    guard case .array(let parts)? = json["files"] else {
      Issue.record("no files")
      return
    }
    #expect(parts.count == 2)
    #expect(FindingReport.rendered([report(broken)], .json) == report(broken).rendered(.json))
  }

  /// GitHub refuses several runs of one tool in one upload.
  @Test func `several files are one run of SARIF, in which each finding has its file`() throws {
    func report(_ path: String) -> FindingReport {
      ConfigurationLoader.load(path: path, environment: [:], files: OneFile(text: broken, path: path)).report
    }
    let text = FindingReport.rendered([report("a.yaml"), report("b/c.yaml")], .sarif)
    guard case .array(let runs)? = try parsed(text)["runs"],
      case .array(let results)? = runs.first?["results"]
    else {
      Issue.record("no results")
      return
    }
    #expect(runs.count == 1 && results.count == 2)
    #expect(text.contains(#""uri":"a.yaml""#) && text.contains(#""uri":"b/c.yaml""#))
    #expect(text.contains(#""automationDetails":{"id":"sluice/a.yaml,b/c.yaml/"}"#))
    #expect(report("a.yaml").rendered(.sarif).contains(#""id":"sluice/a.yaml/""#))
  }

  @Test func `no format for people has characters that a terminal obeys or hides`() {
    let hidden = ["\u{1b}", "\u{202e}", "\u{200b}", "\u{3164}", "\u{e000}"]
    for character in hidden {
      let files = OneFile(
        text: broken.replacing("consumr", with: "\"con\(character)sumer\""), path: "a\(character).yaml")
      let report = ConfigurationLoader.load(path: files.path, environment: [:], files: files).report
      for format in [FindingFormat.text, .github] {
        let text = report.rendered(format)
        #expect(!text.unicodeScalars.contains { character.unicodeScalars.contains($0) })
        #expect(text.contains("a\\u{"))
      }
    }
  }

  @Test func `SARIF names files as URIs`() {
    let files = OneFile(text: "", path: "a b%/c:d.yaml")
    let sarif = ConfigurationLoader.load(path: files.path, environment: [:], files: files).report.rendered(
      .sarif)
    #expect(sarif.contains(#""uri":"a%20b%25/c%3Ad.yaml""#))
  }

  @Test func `code scanning gets SARIF with a rule for each code`() {
    let sarif = report(broken).rendered(.sarif)
    #expect(sarif.contains(#""version":"2.1.0""#))
    #expect(
      sarif.contains(
        #"{"id":"unknown-key","shortDescription":{"text":"The key is not known at this place."}}"#))
    #expect(sarif.contains(#""region":{"startLine":6,"startColumn":9,"endLine":6,"endColumn":16}"#))
  }
}

struct YAMLBoundsTests {
  @Test func `aliases that multiply are stopped`() {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1...9 {
      text +=
        "a\(level): &a\(level) [" + Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
        + "]\n"
    }
    #expect(report(text).findings.contains { $0.code == .yamlLimit })
  }

  @Test func `depth is bounded`() {
    let text = "a: " + String(repeating: "[", count: 5000) + String(repeating: "]", count: 5000)
    #expect(report(text).findings.contains { $0.code == .yamlLimit })
  }

  /// libyaml ends a line where no editor does, and where old ones did.
  @Test(arguments: [("\u{85}", 1), ("\u{2028}", 1), ("\u{2029}", 1), ("\r", 2), ("\r\n", 2), ("\n", 2)])
  func `places are those of editors`(_ separator: String, _ line: Int) {
    let found = report("installed_apps: [echo]\(separator)apps: \u{E9}\n").findings
    let unknown = found.first { $0.code == .unknownKey }
    let column = line == 2 ? 1 : 24
    #expect(unknown?.range?.start == SourcePosition(line: line, column: column))
  }

  @Test func `thousands of keys and names take no time each for each`() {
    let keys = (0..<40_000).map { "  k\($0): 1\n" }.joined()
    let time = processorTime { #expect(!report("- a:\n\(keys)").findings.isEmpty) }
    #expect(time < .seconds(60))
  }

  @Test func `no bytes whatever do harm`() {
    let pieces = [
      "a", ":", " ", "\n", "- ", "[", "]", "{", "}", "\"", "'", "&x", "*x", "!t", "#", "\t", "|", ">", "é",
      "${", "?", "\0",
    ]
    var generator = SplitMix(seed: 1)
    for _ in 0..<2000 {
      let text = (0..<Int.random(in: 0...30, using: &generator)).map { _ in
        pieces.randomElement(using: &generator) ?? ""
      }
      .joined()
      #expect(!report(text).findings.isEmpty, "\(text)")
    }
  }
}

struct OriginPolicyTests {
  /// Django's `OriginValidator`: patterns, origin, verdict.
  static let table: [([String], String?, Bool)] = [
    (["*"], nil, true), (["*"], "null", true), (["example.com"], nil, false),
    (["example.com"], "null", false),
    (["example.com"], "", false), (["example.com"], "example.com", false),
    (["example.com"], "file://", false),
    (["example.com"], "http://example.com", true), (["example.com"], "https://example.com:8443", true),
    (["example.com"], "http://EXAMPLE.com", true), (["example.com"], "http://a.example.com", false),
    (["example.com"], "http://example.com./", false), (["example.com"], "http://user@example.com/path", true),
    ([".example.com"], "http://example.com", true), ([".example.com"], "http://a.b.example.com", true),
    ([".example.com"], "http://badexample.com", false), (["http://example.com"], "http://example.com", true),
    (["http://example.com"], "http://example.com:80", true),
    (["http://example.com"], "https://example.com", false),
    (["http://example.com:8000"], "http://example.com:8000", true),
    (["http://example.com:8000"], "http://example.com", false),
    (["example.com:8000"], "http://example.com:8000", false),
    (["*.example.com"], "http://a.example.com", false),
    (["[::1]"], "http://[::1]:8000", true), (["abc"], "chrome-extension://abc", true),
    (["http://example.com"], "http://example.com:99999", false),
    (["example.com"], "http://example.com:99999", true), (["example.com"], "http://example.com:+80", true),
    (["example.com"], "x//example.com", false), (["example.com"], "//example.com", true),
    (["example.com"], "1x://example.com", false), (["example.com"], "a b://example.com", false),
  ]

  @Test(arguments: table)
  func `patterns are matched as Django matches them`(_ row: ([String], String?, Bool)) {
    #expect(OriginPolicy.patterns(row.0).allows(origin: row.1, host: "anything") == row.2)
  }

  static let sameHost: [(String?, String, Bool)] = [
    (nil, "a", true), ("http://a", "a", true), ("http://a:8000", "a:8000", true),
    ("http://a:8000", "a", false),
    ("https://a", "a", true), ("http://b", "a", false), ("null", "a", false),
    ("http://[::1]:8000", "[::1]:8000", true),
    ("http://a", "A", true), ("http://a:80", "a", true), ("http://a:99999", "a", false),
    ("http://a:+80", "a", false), ("x//a", "a", false),
  ]

  @Test(arguments: [
    ("https://a", "a", true), ("https://a:8443", "a:8443", true), ("https://a", "a:443", true),
    ("http://a", "a", false), ("http://a:8443", "a:8443", false), ("https://a", "a:8443", false),
    ("null", "a", false),
  ])
  func `where TLS ends here the page came by it too`(_ row: (String, String, Bool)) {
    #expect(OriginPolicy.sameHost.allows(origin: row.0, host: row.1, isSecure: true) == row.2)
  }

  @Test(arguments: sameHost)
  func `without a list the page must come from the same host`(_ row: (String?, String, Bool)) {
    #expect(OriginPolicy.sameHost.allows(origin: row.0, host: row.1) == row.2)
  }
}
