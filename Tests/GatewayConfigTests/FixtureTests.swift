import Foundation
import LayerTestSupport
import Testing

@testable import GatewayConfig

private let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")

private func files(in name: String) -> [String] {
  let names = try? FileManager.default.contentsOfDirectory(atPath: folder.appending(path: name).path)
  return (names ?? []).filter { $0.hasSuffix(".yaml") }.sorted()
}

/// A finding as a fixture states it. The text is part of the message or of the hint.
private struct Expectation: Hashable, CustomStringConvertible {
  var file: String
  var line: Int
  var column: Int
  var code: String
  var text: String

  var description: String { "\(file):\(line):\(column) \(code) \(text)" }

  func matches(_ finding: Finding) -> Bool {
    guard let range = finding.range else { return false }
    return range.file.path.hasSuffix(file) && range.start == SourcePosition(line: line, column: column)
      && "\(finding.severity.rawValue)[\(finding.code.rawValue)]" == code
      && (finding.message.contains(text) || finding.hint?.contains(text) == true)
  }
}

/// Reads `# error[code] COLUMN: text ;; ...` behind a line, and `#@ FILE:LINE:COLUMN error[code] text` on one of its own.
private func expectations(in text: String, of file: String) -> [Expectation] {
  text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().flatMap { index, line in
    if let match = line.firstMatch(of: /^#@ ([^:]+):(\d+):(\d+) (\S+\]) (.*)$/) {
      return [
        Expectation(
          file: String(match.1), line: Int(match.2) ?? 0, column: Int(match.3) ?? 0, code: String(match.4),
          text: String(match.5))
      ]
    }
    guard let comment = line.firstMatch(of: /# ((error|warning)\[.*)$/) else { return [] }
    return String(comment.1).components(separatedBy: " ;; ").compactMap { part in
      guard let match = part.firstMatch(of: /^(\S+\]) (\d+): (.*)$/) else { return nil }
      return Expectation(
        file: file, line: index + 1, column: Int(match.2) ?? 0, code: String(match.1), text: String(match.3))
    }
  }
}

private func rendered(_ finding: Finding) -> String {
  FindingReport(path: "", findings: [finding]).rendered(.text)
}

struct FixtureTests {
  @Test(arguments: files(in: "broken"))
  func `a broken file has exactly the findings that stand in it`(_ name: String) throws {
    let path = folder.appending(path: "broken/\(name)").path
    let expected = expectations(in: try String(contentsOfFile: path, encoding: .utf8), of: name)
    let loaded = ConfigurationLoader.load(path: path, environment: [:])
    #expect(!expected.isEmpty)
    for expectation in expected {
      #expect(loaded.report.findings.contains(where: expectation.matches), "missing: \(expectation)")
    }
    for finding in loaded.report.findings where !expected.contains(where: { $0.matches(finding) }) {
      Issue.record("not expected: \(rendered(finding))")
    }
    #expect((loaded.configuration == nil) == (loaded.report.errorCount > 0))
  }

  @Test func `there are many kinds of broken file`() {
    #expect(files(in: "broken").count >= 110)
  }

  @Test func `there are many kinds of groups that meet and should not`() {
    #expect(files(in: "broken").count { $0.hasPrefix("isolation-") } >= 25)
  }

  @Test(arguments: files(in: "good"))
  func `a good file loads without a finding`(_ name: String) {
    let path = folder.appending(path: "good/\(name)").path
    let loaded = ConfigurationLoader.load(
      path: path, environment: ["REDIS_PASSWORD": "hunter2", "PUBLISH_TOKEN": "fedcba9876543210"])
    for finding in loaded.report.findings { Issue.record("not expected: \(rendered(finding))") }
    #expect(loaded.configuration != nil)
  }

  @Test func `what is written out wins over what is merged, and the earlier over the later`() throws {
    let path = folder.appending(path: "good/merge.yaml").path
    let routes = try #require(ConfigurationLoader.load(path: path, environment: [:]).configuration)
      .served.webSocketRoutes
    #expect(routes.map(\.name) == ["ws/a/<slug:room>/", "ws/b/<slug:room>/", "ws/c/<slug:room>/"])
    #expect(routes.map(\.limits.message) == [.mebibytes(1), .kibibytes(1), .kibibytes(1)])
  }

  @Test(arguments: [
    ("memory", "chat, group: g", 1), ("memory", "echo", 0), ("redis", "chat, group: g", 0),
  ])
  func `a port is shared where groups are, or there are none`(
    _ layer: String, _ consumer: String, _ findings: Int
  ) throws {
    let loaded = ConfigurationLoader.load(
      text: """
        installed_apps: [echo, chat]
        server: {reuse_port: true}
        channel_layers: {default: {backend: \(layer)}}
        applications: {main: {websocket: [{path: ws/, consumer: \(consumer)}]}}
        """)
    #expect(loaded.configuration?.server.reusesPort == true)
    #expect(loaded.report.findings.map(\.code) == Array(repeating: .conflictingKeys, count: findings))
  }

  @Test func `the values of a good file arrive`() throws {
    let path = folder.appending(path: "good/everything.yaml").path
    let environment = ["REDIS_PASSWORD": "hunter2", "PORT": "9000"]
    let configuration = try #require(
      ConfigurationLoader.load(path: path, environment: environment).configuration)
    #expect(
      configuration.server.bind == [.tcp(host: "127.0.0.1", port: 9000), .unix(path: "/tmp/sluice.sock")])
    #expect(configuration.server.connections == 1000)
    #expect(configuration.shutdown.grace == .seconds(30))
    #expect(configuration.shutdown.delay == .seconds(5))
    #expect(configuration.nextListener == .after(.seconds(2)))
    #expect(!configuration.server.reusesPort)
    #expect(configuration.server.handshakes == Rate(count: 500, period: .seconds(1), burst: 1000))
    #expect(configuration.served.webSocketRoutes.map(\.name).first == "echo")
    #expect(configuration.served.webSocketRoutes[0].limits.message == .kibibytes(1))
    #expect(configuration.served.webSocketRoutes[0].limits.sendQueue == .mebibytes(1))
    #expect(configuration.served.webSocketRoutes[0].limits.ping == nil)
    #expect(configuration.served.webSocketRoutes.map(\.name).contains("rooms/<slug:room>/"))
    #expect(configuration.applications.map(\.name) == ["main", "unused"])
    var compression = CompressionConfiguration()
    compression.level = 1
    compression.threshold = .kibibytes(1)
    #expect(configuration.applications[1].webSocketRoutes[0].compression == compression)
    compression.windowBits = 12
    #expect(configuration.served.webSocketRoutes[1].compression == compression)
    compression.keepsContext = true
    compression.keepsClientContext = true
    #expect(configuration.served.webSocketRoutes[0].compression == compression)
    #expect(configuration.served.webSocketRoutes.last?.compression == nil)
    #expect(configuration.server.compressionMemory == .mebibytes(16))
    #expect(configuration.server.keepAlive == .seconds(75))
    #expect(configuration.server.bodyMemory == .mebibytes(32))
    #expect(configuration.server.sendMemory == .mebibytes(256))
    #expect(configuration.server.receiveMemory == .mebibytes(128))
  }

  @Test(arguments: [
    ("", "", false), ("", "true", true), ("", "{level: 2}", true), ("true", "", true),
    ("true", "false", false),
    ("false", "", false), ("false", "{}", true), ("{level: 2}", "true", true),
  ])
  func `messages are compressed only where the file says so`(
    _ outer: String, _ inner: String, _ isOn: Bool
  ) throws {
    let configuration = try ConfigurationLoader.configuration(
      of: """
        installed_apps: [echo]
        \(outer.isEmpty ? "" : "compression: \(outer)")
        applications:
          main:
            websocket:
              - {path: ws/, consumer: echo\(inner.isEmpty ? "" : ", compression: \(inner)")}
        """)
    let route = try #require(configuration.served.webSocketRoutes.first)
    #expect((route.compression != nil) == isOn)
    // What holds around it goes on where the route only switches it on.
    #expect(route.compression?.level == (isOn && (outer + inner).contains("level: 2") ? 2 : isOn ? 6 : nil))
  }

  @Test func `ten faults are ten findings`() {
    let path = folder.appending(path: "broken/ten-faults.yaml").path
    #expect(ConfigurationLoader.load(path: path, environment: [:]).report.findings.count == 10)
  }
}
