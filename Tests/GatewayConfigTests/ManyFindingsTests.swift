import JSON
import LayerTestSupport
import TestSupport
import Testing

@testable import GatewayConfig

private func load(_ text: String) -> LoadedConfiguration {
  ConfigurationLoader.load(path: "routes.yaml", environment: [:], files: MemoryFiles(text: text))
}

private func report(_ text: String) -> FindingReport { load(text).report }

struct ManyFindingsTests {
  /// All in one line.
  private static func keys(_ count: Int) -> String {
    let strange = (0..<count).map { "a_key_that_is_nearly_no_other_\($0): \($0)" }.joined(separator: ", ")
    return """
      installed_apps: [echo]
      applications: {main: {websocket: [{path: a, consumer: echo, \(strange)}]}}
      """
  }

  @Test func `a thousand findings are shown, all are counted, and every format says that there are more`() {
    let report = report(Self.keys(1203))
    #expect(report.findings.count == 1000)
    #expect(report.errorCount == 1203)
    let sentence = "... and 203 more findings are not shown"
    #expect(report.rendered(.text).hasSuffix("\n\n\(sentence)\n\n1203 errors, 0 warnings in routes.yaml\n"))
    #expect(report.rendered(.json).contains(#""errors":1203,"#))
    #expect(report.rendered(.json).contains(#""notShown":203"#))
    #expect(
      report.rendered(.sarif).contains(
        #""toolExecutionNotifications":[{"level":"note","message":{"text":"\#(sentence)"}}]"#))
    #expect(report.rendered(.github).hasSuffix("::notice title=sluice::\(sentence)\n"))
  }

  @Test func `what is all shown is said to be nothing less`() {
    let report = report(Self.keys(1000))
    #expect(report.findings.count == 1000 && report.omitted.count == 0)
    for format in FindingFormat.allCases {
      #expect(!report.rendered(format).contains("not shown") && !report.rendered(format).contains("notShown"))
    }
    #expect(strange(1001).omission == "... and 1 more finding is not shown")
  }

  private func strange(_ count: Int) -> FindingReport { report(Self.keys(count)) }

  @Test func `the same finding again is no other one, also where it is not shown`() {
    var findings = Findings()
    for _ in 0..<3 {
      for number in 0..<1200 { findings.error(.unknownKey, "\(number)", at: nil) }
    }
    #expect(findings.all.count == 1000 && findings.omitted.errors == 200)
  }

  @Test func `an error is shown though thousands of warnings come before it`() {
    var findings = Findings()
    for number in 0..<5000 { findings.warning(.notProved, "\(number)", at: nil) }
    findings.error(.unknownKey, "the error", at: nil)
    let report = FindingReport(path: "routes.yaml", findings: findings)
    #expect(report.findings.count == 1000)
    #expect(report.findings.contains { $0.message == "the error" })
    #expect((report.errorCount, report.warningCount) == (1, 5000))
  }

  @Test func `a text that repeats a large value is cut`() {
    var findings = Findings()
    findings.error(.unknownKey, String(repeating: "é", count: 1 << 20), at: nil)
    #expect(findings.all[0].message.utf8.count < 5000)
  }

  @Test func `a secret in a line is not shown though its own finding is not among those that are`() {
    let hosts = (0..<1500).map { #"{"host": "a\#($0)", "port": 1, "password": "hunter\#($0)"}"# }
    let report = report(
      """
      installed_apps: [echo]
      channel_layers: {default: {backend: redis, config: {hosts: [\(hosts.joined(separator: ", "))], strange: 1}}}
      applications: {main: {websocket: [{path: a, consumer: echo}]}}
      """)
    #expect(report.omitted.warnings > 0)
    #expect(!report.rendered(.text).contains("hunter"))
  }

  @Test func `findings in one long line take time in proportion to their number, and so do those not shown`()
  {
    func time(_ count: Int) -> Duration {
      processorTime { _ = strange(count).rendered(.text) }
    }
    _ = time(100)
    // Each is shown with its part of the line, whose length grows with them.
    let (some, thousand, many) = (time(100), time(1000), time(8000))
    #expect(thousand < some * 40)
    #expect(many < thousand * 24)
  }

  @Test func `a part of a line is found without going through it`() {
    let text = "é\u{1F600}x\t" + String(repeating: "añ€\u{1F600}", count: 2000) + "\r\nsecond\n\nlast"
    let file = SourceFile(path: "a", text: Array(text.utf8))
    let scalars = Array(text.unicodeScalars)
    #expect((1...4).map { file.characterCount(ofLine: $0) } == [8004, 6, 0, 4])
    for start in [0, 1, 3, 255, 256, 257, 511, 4000, 8003, 8004] {
      let end = min(start + 300, 8004)
      var expected = String.UnicodeScalarView()
      expected.append(contentsOf: scalars[start..<end])
      #expect(file.text(ofLine: 1, start..<end) == String(expected))
    }
    #expect(file.text(ofLine: 2, 0..<6) == "second")
    #expect(file.text(ofLine: 3, 0..<0) == "")
    #expect(file.text(ofLine: 4, 1..<4) == "ast")
  }
}

/// Files as deep as they may be, on half of a reactor's stack.
struct NodeDepthTests {
  private static func nested(_ depth: Int) -> String {
    // Under `events`, where any value may stand; five levels are around it.
    let inner = String(repeating: "[", count: depth - 7) + "1" + String(repeating: "]", count: depth - 7)
    return """
      installed_apps: [chat]
      channel_layers: {default: {backend: memory}}
      applications: {main: {websocket: [{path: a, consumer: chat, group: g, events: {x.y: {a: \(inner)}}}]}}
      """
  }

  @Test func `the deepest file is read, copied by aliases, merged and freed on half of a reactor's stack`() {
    let isGood = SmallStack.run { () -> Bool in
      let loaded = load(Self.nested(64))
      return loaded.configuration != nil && loaded.report.findings.isEmpty
    }
    #expect(isGood == true)
    let codes = SmallStack.run { load(Self.nested(65)).report.findings.map(\.code) }
    #expect(codes == [.yamlLimit])
    #expect(SmallStack.run { load("a: " + String(repeating: "[", count: 1_000_000)).report.errorCount } == 1)
  }

  @Test func `what aliases repeat is bounded in bytes`() {
    let list = Array(repeating: "*a", count: 100).joined(separator: ", ")
    let report = report("a: &a \(String(repeating: "x", count: 1 << 20))\nb: [\(list)]\n")
    #expect(report.findings.map(\.code) == [.yamlLimit])
    #expect(report.findings[0].message.contains("32 MiB"))
  }
}
