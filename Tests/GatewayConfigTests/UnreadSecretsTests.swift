import LayerTestSupport
import Testing

@testable import GatewayConfig

/// Values that no reader reads, so that none hides them.
struct UnreadSecretsTests {
  private static let base = """
    installed_apps: [echo]
    applications: {main: {websocket: [{path: a/, consumer: echo}]}}

    """

  private func text(
    _ files: [String: String], overlays: [String] = [], secrets: SecretUse = .read
  ) -> String {
    var files = files
    files["routes.yaml"] = Self.base + (files["routes.yaml"] ?? "")
    return ConfigurationLoader.load(
      path: "routes.yaml", overlays: overlays, environment: [:], files: MemoryFiles(files), secrets: secrets
    ).report.rendered(.text)
  }

  /// Secrets beside a variable that is not set.
  private static let unset = [
    "channel_layers: {default: {backend: redis, config: {hosts: [\"redis://:s3cret@${X}:6379\"]}}}",
    "auth: {users: {jwt: {secret: \"s3cret${X}\"}}}",
    "auth: {users: {jwt: {secret: {\"s3cret${X}\"}}}}",
    "auth: {users: {jwt: {secret: {env: \"s3cret-${X}\"}}}}",
    "server: {admin: {address: \"127.0.0.1:1\", token: \"s3cret${X}\"}}",
    "channel_layers: {default: {backend: redis, config: {symmetric_encryption_keys: [\"s3cret${X}\"]}}}",
    "auth: {users: {callback: {url: \"http://u:s3cret@${X}/\"}}}",
  ]

  @Test(arguments: unset)
  func `a file that is not read because another one cannot be shows no secret`(_ line: String) {
    let unusable: [(String, String?)] = [
      ("include: missing.yaml\n", nil), ("include: more.yaml\n", "include: routes.yaml"),
      ("include: more.yaml\n", "[a]"), ("include: more.yaml\n", "a: [\n"),
    ]
    for (more, other) in unusable {
      var files = ["routes.yaml": more + line]
      files["more.yaml"] = other
      #expect(!text(files).contains("s3cret"))
      // Nor does the included file.
      #expect(
        !text(["routes.yaml": "include: [more.yaml, missing.yaml]", "more.yaml": line]).contains("s3cret"))
    }
    for over in [nil, "[a]", "include: missing.yaml"] {
      var files = ["routes.yaml": line]
      files["over.yaml"] = over
      #expect(!text(files, overlays: ["over.yaml"]).contains("s3cret"))
    }
  }

  @Test func `what is no secret is shown all the same`() {
    let shown = text(["routes.yaml": "include: missing.yaml\nserver: {bind: \"127.0.0.1:${PORT}\"}"])
    #expect(shown.contains("\n4 | server: {bind: \"127.0.0.1:${PORT}\"}\n"))
    #expect(shown.contains("\n3 | include: missing.yaml\n"))
    // The name of a file where none is expected.
    #expect(text(["routes.yaml": "file: index.html"]).contains("\n3 | file: index.html\n"))
  }

  @Test(arguments: ["", ", require: {role: \"${ROLE}\"}", ", require: {role: [\"${A}\", staff]}"])
  func `a variable that need not be set is no finding, whatever stands beside it`(_ more: String) {
    let whole = """
      installed_apps: [echo]
      auth: {users: {jwt: {secret: {env: KEY}}}}
      server: {bind: [{address: "${HOST}:8000", proxy_protocol: true}]}
      applications: {main: {websocket: [{path: a/, consumer: echo, auth: users\(more)}]}}
      """
    let report = ConfigurationLoader.load(
      path: "routes.yaml", environment: [:], files: MemoryFiles(["routes.yaml": whole]), secrets: .unread
    ).report
    #expect(report.findings.isEmpty, "\(report.rendered(.text))")
  }

  /// Secrets that are written into the file.
  private static let plain = [
    "auth: {users: {jwt: {secret: s3cret}}}",
    "channel_layers: {default: {backend: redis, config: {hosts: [\"redis://:s3cret@h\"]}}}",
    "channel_layers: {default: {backend: redis, config: {hosts: [{host: h, password: s3cret}]}}}",
    "server: {tls: {certificate: a.pem, key: {env: A}, passphrase: s3cret}}",
  ]

  @Test(arguments: plain)
  func `the second value of a key is not shown if it is a secret`(_ line: String) {
    // In two files.
    let two = text(["routes.yaml": "include: [one.yaml, other.yaml]", "one.yaml": line, "other.yaml": line])
    #expect(two.contains("is given in two files") && !two.contains("s3cret"))
    let mixed = text([
      "routes.yaml": "include: [one.yaml, other.yaml]", "other.yaml": line,
      "one.yaml": String(line.prefix { $0 != ":" }) + ": [a]",
    ])
    #expect(mixed.contains("is given in two files") && !mixed.contains("s3cret"))
    // In one.
    let one = text(["routes.yaml": line + "\n" + line])
    #expect(one.contains("is given twice") && !one.contains("s3cret"))
  }

  @Test func `nor is it if the key stands beside itself`() {
    let shown = text(["routes.yaml": "auth: {users: {jwt: {secret: {env: A}, secret: s3cret}}}"])
    #expect(shown.contains("\"secret\" is given twice") && !shown.contains("s3cret"))
  }

  @Test(arguments: [
    "auth: {users: {jwt: {secret: {env: A}}}}", "auth: {users: {jwt: {secret: null}}}", "auth: null",
    "auth: [a]", "auth: {users: {jwt: null, callback: {url: \"http://127.0.0.1/\"}}}",
    "auth: {users: {callback: {url: \"http://127.0.0.1/\"}}}",
  ])
  func `a secret that another file replaces or removes is not shown`(_ over: String) {
    let line = "auth: {users: {jwt: {secret: \"s3cret${X}\"}}}"
    let shown = text(["routes.yaml": line, "over.yaml": over], overlays: ["over.yaml"])
    #expect(shown.contains("\"X\" is not set") && !shown.contains("s3cret"))
  }

  @Test(arguments: [
    "auth: [{users: {jwt: {secret: s3cret}}}]", "auhtentication: {users: {jwt: {secret: s3cret}}}",
    "server: [{admin: {token: s3cret}}]", "server: {token: s3cret}", "x: {y: [{password: s3cret}]}",
  ])
  func `what stands at a wrong place is not shown if it is a secret`(_ line: String) {
    #expect(!text(["routes.yaml": line]).contains("s3cret"))
  }

  @Test func `a file without a usable tree shows none`() {
    let deep = String(repeating: "[", count: 70) + String(repeating: "]", count: 70)
    #expect(!text(["routes.yaml": "auth: {users: {jwt: {secret: s3cret, x: \(deep)}}}"]).contains("s3cret"))
  }
}
