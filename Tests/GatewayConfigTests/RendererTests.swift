import Testing

@testable import GatewayConfig

/// One file in memory.
private struct OneFile: FileAccess {
  var text: String

  func contents(of path: String) -> Result<[UInt8], FileFault> {
    path == "routes.yaml" ? .success(Array(text.utf8)) : .failure(FileFault("there is no such file"))
  }

  func isDirectory(_ path: String) -> Bool { false }
  func names(in directory: String) -> [String] { ["routes.yaml"] }
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

  @Test func `code scanning gets SARIF with a rule for each code`() {
    let sarif = report(broken).rendered(.sarif)
    #expect(sarif.contains(#""version":"2.1.0""#))
    #expect(
      sarif.contains(
        #"{"id":"unknown-key","shortDescription":{"text":"There is no such key at this place."}}"#))
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

  @Test func `no bytes whatever do harm`() {
    let pieces = [
      "a", ":", " ", "\n", "- ", "[", "]", "{", "}", "\"", "'", "&x", "*x", "!t", "#", "\t", "|", ">", "é",
      "${", "?", "\0",
    ]
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<2000 {
      let text = (0..<Int.random(in: 0...30)).map { _ in pieces.randomElement(using: &generator) ?? "" }
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
    ("http://a", "A", true), ("http://a:80", "a", true),
  ]

  @Test(arguments: sameHost)
  func `without a list the page must come from the same host`(_ row: (String?, String, Bool)) {
    #expect(OriginPolicy.sameHost.allows(origin: row.0, host: row.1) == row.2)
  }
}
