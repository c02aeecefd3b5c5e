import LayerTestSupport
import TestSupport
import Testing

@testable import GatewayConfig

private func report(
  _ text: String, environment: [String: String] = [:], others: [String: String] = [:],
  isWithoutSecrets: Bool = false
) -> FindingReport {
  ConfigurationLoader.load(
    path: "routes.yaml", environment: environment,
    files: MemoryFiles(others.merging(["routes.yaml": text]) { $1 }),
    secrets: isWithoutSecrets ? .unread : .read
  ).report
}

struct SlipTests {
  @Test func `a slip in an included file is told there, once, and its value is read`() {
    let report = report(
      """
      installed_apps: [echo]
      applications: {main: {websocket: [{path: a/, include: more.yaml}, {path: b/, include: more.yaml}]}}
      """, others: ["more.yaml": "- {path: x/, consumr: ehco}\n"])
    #expect(report.findings.map(\.code) == [.unknownKey, .unknownName])
    #expect(report.findings.allSatisfy { $0.range?.file.path == "more.yaml" })
  }

  @Test func `where both keys stand there the misspelt one is not taken for the other`() {
    let report = report(
      """
      installed_apps: [echo]
      applications: {main: {websocket: [{path: a/, consumer: echo, consumr: chta}]}}
      """)
    #expect(report.findings.map(\.code) == [.unknownKey])
  }

  @Test func `misspelt keys in misspelt keys are found to a bounded depth, and the reading ends`() {
    var text = "1"
    for key in ["tiemout", "png", "limts", "conusmer"] { text = "{\(key): \(text)}" }
    #expect(report("aplications: {main: {websoket: {rotues: [\(text)]}}}").errorCount > 2)
  }

  @Test func `places are those of the file, however much was mended before them`() {
    let lines = (0..<200).map { "\u{A0}\u{200B} k\($0): é" }
    let report = report(
      "installed_apps: [echo],\nlogging:\n" + lines.joined(separator: "\n")
        + "\napplications: {main: {websocket: [{path:a/${X}, consumer: echo, oops: 1}]}}\n")
    let oops = report.findings.first { $0.message.contains("oops") }
    #expect(oops?.range?.start == SourcePosition(line: 203, column: 65))
    #expect(report.findings.contains { $0.range?.start == SourcePosition(line: 1, column: 23) })
    #expect(report.findings.contains { $0.range?.start == SourcePosition(line: 3, column: 1) })
  }

  @Test func `a text with a slip in each line is mended a bounded number of times`() {
    let keys = (0..<100).map { "k\($0): [a],\n" }.joined()
    #expect(report(keys).findings.count { $0.code == .yamlSyntax } == YAMLReader.Bounds.repairs + 1)
  }

  @Test(arguments: ["a: [x{y}}x{y}", "a: {b: x{y}}x{y}, c: [x{y}}z{w}]", "a: [x{y}}z{w}\n"])
  func `values with braces that touch each other are each one value`(_ text: String) {
    #expect(report(text).findings.contains { $0.message.contains("a value with braces needs quotes") })
  }

  @Test func `no bytes whatever stop the mending of slips`() {
    let pieces = [
      "a:", "b: ", "path:x", "- ", "-p: ", "[", "]", "{", "}", "x{y}", "${", ",", ";", "//", " // ", "\"",
      "'", "\n",
      "\n  ", "\n    ", "\n\u{A0}", "\u{200B}", "\u{201C}", "(", ")", "=", "#", "é", "$NAME", "а", "\r", "|",
    ]
    var generator = SplitMix(seed: 1)
    for _ in 0..<500 {
      let text = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
        pieces.randomElement(using: &generator) ?? ""
      }
      .joined()
      #expect(!report(text).rendered(.text).isEmpty, "\(text)")
    }
  }

  @Test func `a secret in a line with a slip is not shown`() {
    let report = report(
      """
      installed_apps: [echo]
      channel_layers:
        default:
          backend: redis
          config:
            hosts: ["redis://:hunter/2@localhost:6379/0", "redis://:hunter2@h/0?prefx=1"]
            symmetric_encryption_keys: [hunter2“, $HUNTER, (hunter2, hunter3)]
      applications: {main: {websocket: [{path: a/, consumer: echo}]}}
      """)
    #expect(report.errorCount > 1)
    #expect(!report.rendered(.text).contains("hunter"))
  }

  @Test func `whole words of another alphabet are words`() {
    #expect(Lookalike.first(in: "ws/чат/") == nil)
    #expect(Lookalike.first(in: "ws/сhat/")?.offset == 3)
    #expect(Lookalike.first(in: "a\u{A0}b")?.1.name == "a no-break space (U+00A0)")
    #expect(Lookalike.plainText(of: "соnsumer\u{200B}") == "consumer")
  }
}

struct WithoutSecretsTests {
  private static let text = """
    installed_apps: [chat, echo]
    channel_layers:
      default: {backend: redis, config: {hosts: ["${REDIS_URL}"], symmetric_encryption_keys: [{env: KEY}]}}
    auth: {api: {jwt: {secret: {env: JWT_KEY}}}, site: {jwt: {secret: {file: jwt.key}}}}
    applications:
      main:
        http:
          - {path: send/, publish: {groups: [chat_*], token: {env: TOKEN}}}
        websocket:
          - {path: "chat/<slug:room>/", consumer: chat, group: "chat_{room}", auth: api}
    """

  @Test func `secrets that the environment does not have are findings, but not where they are not expected`()
  {
    #expect(report(Self.text).errorCount == 5)
    #expect(report(Self.text, isWithoutSecrets: true).findings == [])
  }

  @Test func `for a look at the routes, variables of secrets alone need not be set`() {
    func codes(_ text: String) -> [FindingCode] {
      ConfigurationLoader.load(
        path: "routes.yaml", environment: [:], files: MemoryFiles(["routes.yaml": text]),
        secrets: .unreadAlone
      ).report.findings.map(\.code)
    }
    #expect(codes(Self.text) == [])
    #expect(codes(Self.text.replacing("token: {env: TOKEN}", with: "token: \"${TOKEN}\"")) == [])
    #expect(codes(Self.text.replacing("path: send/", with: "path: \"${PREFIX}\"")) == [.undefinedVariable])
  }

  @Test func `everything else is found without the secrets too`() {
    let broken = Self.text.replacing("group: \"chat_{room}\"", with: "grup: \"chat_{rom}\"")
      .replacing("algorithms", with: "").replacing("token: {env", with: "tokn: {evn")
    let codes = report(broken, isWithoutSecrets: true).findings.map(\.code)
    #expect(codes.contains(.unknownKey) && codes.contains(.invalidGroup))
    #expect(codes.count { $0 == .unknownKey } == 3)
  }
}
