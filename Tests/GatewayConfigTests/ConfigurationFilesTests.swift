import Bytes
import Foundation
import TestSupport
import Testing

@testable import GatewayConfig

struct ConfigurationFilesTests {
  private let place: TemporaryFolder

  init() throws { place = try TemporaryFolder() }

  private func path(_ name: String) -> String { place.url.appending(path: name).path }

  private func write(_ text: String, to name: String) throws {
    try Data(text.utf8).write(to: place.url.appending(path: name))
  }

  @Test
  func `a configuration is read again from what was written, by another process, with the secrets of today`()
    throws
  {
    try write(
      """
      include: auth.yaml
      installed_apps: [echo]
      applications: {main: {websocket: [{path: a, consumer: echo, auth: users}]}}
      """, to: "routes.yaml")
    try write("auth: {users: {jwt: {secret: {file: secret}}}}", to: "auth.yaml")
    try write("limits: {connections: 7}", to: "over.yaml")
    try write(String(repeating: "s", count: 40), to: "secret")
    let first = ConfigurationLoader.load(
      path: path("routes.yaml"), overlays: [path("over.yaml")], environment: [:])
    let written = try #require(first.configuration?.written?.source)
    #expect(written.files.count == 4 && written.digest == first.configuration?.digest)
    for name in ["auth.yaml", "over.yaml"] {
      try FileManager.default.removeItem(atPath: path(name))
    }
    try write("nothing: here", to: "routes.yaml")
    var writer = RecordWriter()
    written.write(to: &writer)
    let read: ConfigurationFiles = try RecordReader.read(writer.bytes[...])
    #expect(read == written)
    let again = ConfigurationLoader.load(read, environment: [:])
    #expect(again.report.findings.isEmpty && again.configuration?.server.connections == 7)
    #expect(again.configuration?.digest == written.digest)
    #expect(
      again.configuration?.authenticators.first?.kind == first.configuration?.authenticators.first?.kind)
    // For one that is served again: what was revoked stays revoked.
    try write(String(repeating: "t", count: 40), to: "secret")
    let renewed = ConfigurationLoader.load(read.withoutSecrets, environment: [:])
    #expect(renewed.configuration?.digest == written.digest)
    #expect(
      renewed.configuration?.authenticators.first?.kind != first.configuration?.authenticators.first?.kind)
    #expect(renewed.configuration?.written?.source.saysTheSame(as: written) == true)
    #expect(written.withoutSecrets.files.map(\.use) == [.configuration, .include, .configuration])
    try FileManager.default.removeItem(atPath: path("secret"))
    #expect(ConfigurationLoader.load(read.withoutSecrets, environment: [:]).configuration == nil)
    #expect(ConfigurationLoader.load(read, environment: [:]).configuration != nil)
  }

  @Test func `a certificate that was renewed is read with the key of today`() throws {
    for key in ["{file: site.key}", "site.key"] {
      func write(_ pair: String) throws {
        for end in ["pem", "key"] {
          try self.write(TestCertificates.text("\(pair).\(end)"), to: "site.\(end)")
        }
      }
      try self.write(
        """
        server: {tls: {certificate: site.pem, key: \(key)}}
        installed_apps: [echo]
        applications: {main: {websocket: [{path: a, consumer: echo}]}}
        """, to: "routes.yaml")
      try write("one")
      let first = ConfigurationLoader.load(path: path("routes.yaml"), environment: [:])
      let written = try #require(first.configuration?.written?.source, "\(first.report.rendered(.text))")
      try write("other")
      let renewed = ConfigurationLoader.load(written.withoutSecrets, environment: [:])
      let tls = try #require(renewed.configuration?.server.tls, "\(renewed.report.rendered(.text))")
      #expect(
        tls.certificates.map(\.fingerprint)
          != first.configuration?.server.tls?.certificates.map(\.fingerprint))
      #expect(renewed.configuration?.written?.source.saysTheSame(as: written) == true)
    }
  }

  /// What a pipe gives, once.
  private final class Pipes: FileAccess {
    private var texts: [String: String]

    init(_ texts: [String: String]) { self.texts = texts }

    func contents(of path: String, as use: FileUse) -> Result<[UInt8], FileFault> {
      guard let text = texts[path] else { return .failure(FileFault("there is no such file")) }
      texts[path] = ""
      return .success(Array(text.utf8))
    }
    func isDirectory(_ path: String) -> Bool { false }
    func names(in directory: String) -> [String] { [] }
    func absolute(_ path: String) -> String { path }
    func isReadableByAll(_ path: String) -> Bool { false }
  }

  @Test func `what came through a pipe is read again without its secrets`() throws {
    let text = """
      auth: {users: {jwt: {secret: {env: NOWHERE}}}}
      installed_apps: [echo]
      applications: {main: {websocket: [{path: a, consumer: echo, auth: users}]}}
      """
    func again(_ files: [String: String], _ secrets: SecretUse) -> LoadedConfiguration {
      let pipes = Pipes(files)
      let whole = ConfigurationLoader.load(path: "-", overlays: ["over"], environment: [:], files: pipes)
      #expect(whole.configuration == nil)
      return whole.again(with: secrets, environment: [:], files: pipes)
    }
    for secrets in [SecretUse.named, .unreadAlone] {
      let good = again(["-": text, "over": "limits: {connections: 7}"], secrets)
      #expect(good.configuration?.server.connections == 7, "\(good.report.rendered(.text))")
      let bad = again(["-": text, "over": "limits: {conections: 7}"], secrets)
      #expect(bad.report.findings.map(\.code) == [.unknownKey])
      // A file that was not there is not waited for once more.
      #expect(again(["-": text], secrets).report.findings.map(\.code) == [.unreadableFile])
    }
  }

  @Test func `of a variable of a gateway that runs it is said that only a restart sets it`() throws {
    for value in ["{env: NOWHERE}", "\"${NOWHERE}\""] {
      try write(
        """
        server: {admin: {address: "127.0.0.1:9001", token: \(value)}}
        installed_apps: [echo]
        applications: {main: {websocket: [{path: a, consumer: echo}]}}
        """, to: "routes.yaml")
      func finding(isRunning: Bool) -> Finding? {
        ConfigurationLoader.load(path: path("routes.yaml"), environment: [:], isRunning: isRunning).report
          .findings.first
      }
      #expect(finding(isRunning: false)?.message == "the environment variable \"NOWHERE\" is not set")
      #expect(finding(isRunning: false)?.hint?.hasPrefix("set it, or ") == true)
      let running = finding(isRunning: true)
      #expect(
        running?.message
          == "the environment variable \"NOWHERE\" is not set in the gateway, whose environment is that of its start"
      )
      #expect(running?.hint?.hasPrefix("set it where the gateway is started, and restart it, or ") == true)
    }
  }

  @Test func `a file keeps the name by which the shell has come to the working directory`() throws {
    func path(_ name: String, _ shell: String?) -> String {
      WorkingFolder.path(name, environment: shell.map { ["PWD": $0] } ?? [:])
    }
    let folder = FileManager.default.currentDirectoryPath
    #expect(path("routes.yaml", nil) == folder + "/routes.yaml")
    // Links of the system that lead there.
    #expect(path("./a/routes.yaml", "/proc/self/cwd") == "/proc/self/cwd/a/routes.yaml")
    #expect(path("routes.yaml", "/proc") == folder + "/routes.yaml")
    #expect(path("routes.yaml", "cwd") == folder + "/routes.yaml")
    // What stands behind a link is not what its text says.
    let outer = URL(filePath: folder).deletingLastPathComponent().path
    #expect(path("../routes.yaml", "/proc/self/cwd") == (outer == "/" ? "" : outer) + "/routes.yaml")
    for name in ["/etc/routes.yaml", "-", "/dev/stdin"] { #expect(path(name, folder) == name) }
  }
}
