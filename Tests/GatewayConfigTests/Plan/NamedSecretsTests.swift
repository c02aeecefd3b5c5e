import LayerTestSupport
import Testing

@testable import GatewayConfig

/// Comparisons where the secrets are not there, as in CI.
struct NamedSecretsTests {
  private func read(_ text: String) throws -> Configuration {
    let text =
      text + "\ninstalled_apps: [echo]\napplications: {main: {websocket: [{path: a/, consumer: echo}]}}"
    let loaded = ConfigurationLoader.load(
      path: "routes.yaml", environment: [:],
      files: try TestCertificates.files("one.pem", "other.pem", "locked.key", beside: text), secrets: .named
    )
    return try #require(loaded.configuration, "\(loaded.report.rendered(.text))")
  }

  private func comparison(_ old: String, _ new: String) throws -> ConfigurationComparison {
    ConfigurationComparison(from: try read(old), to: try read(new))
  }

  private func facts(_ comparison: ConfigurationComparison) -> [String] {
    comparison.settings.map(\.key) + comparison.markKinds.map(\.rawValue)
  }

  private func server(
    version: String = "1.3", _ file: String = "one.pem",
    key: String = "no.key"
  ) -> String {
    "server: {bind: 127.0.0.1:8443, tls: {minimum_version: \"\(version)\", certificate: \(file), key: \(key)}}"
  }

  @Test func `of a certificate whose key is not there everything else is compared`() throws {
    let known = server()
    #expect(try facts(comparison(known, known)) == [])
    #expect(
      try facts(comparison(known, "server: {bind: 127.0.0.1:8443}"))
        == ["server.tls", "server.tls.minimum_version", "encryption-off"])
    #expect(
      try facts(comparison(known, server(version: "1.2")))
        == ["server.tls.minimum_version", "encryption-weaker"])
    #expect(try facts(comparison(known, server("other.pem"))) == ["server.tls"])
    func own(_ address: String) -> String {
      "server: {bind: 127.0.0.1:8000, tls: {bind: \"\(address)\", certificate: one.pem, key: no.key}}"
    }
    #expect(
      try facts(comparison(own("127.0.0.1:8443"), own("0.0.0.0:443")))
        == ["server.tls.bind", "address-widened"])
  }

  @Test(arguments: [
    "{env: KEY}", "{file: no.key}", "\"${KEY}\"", "locked.key, passphrase: {env: WORD}",
    "locked.key, passphrase: \"${WORD}\"", "locked.key, passphrase: {file: no.txt}",
    "{env: KEY}, passphrase: {env: WORD}",
  ])
  func `a key is not there in any form of it, and neither is its passphrase`(_ key: String) throws {
    let known = server(key: key)
    #expect(try facts(comparison(known, known)) == [])
    #expect(
      try facts(comparison(known, server(version: "1.2", key: key)))
        == ["server.tls.minimum_version", "encryption-weaker"])
  }

  @Test func `certificates without their keys are compared with each other`() throws {
    let twice = """
      server: {tls: {certificates: [{certificate: one.pem, key: no.key}, {certificate: other.pem, key: no.key}]}}
      installed_apps: [echo]
      applications: {main: {websocket: [{path: a/, consumer: echo}]}}
      """
    for secrets in [SecretUse.unread, .unreadAlone, .named] {
      let report = ConfigurationLoader.load(
        path: "routes.yaml", environment: [:],
        files: try TestCertificates.files("one.pem", "other.pem", beside: twice), secrets: secrets
      ).report
      #expect(report.findings.map(\.code) == [.duplicateName])
    }
  }

  private func layer(_ hosts: String) -> String {
    "channel_layers: {default: {backend: redis_pubsub, config: {hosts: [\(hosts)]}}}"
  }

  @Test(arguments: [
    ("{env: ONE}", "{env: OTHER}"), ("\"${ONE}\"", "\"${OTHER}\""), ("{file: one}", "{file: other}"),
    ("\"redis://:${ONE}@h\"", "\"redis://:${OTHER}@h\""),
    ("{address: {env: ONE}}", "{address: {env: OTHER}}"),
    ("{env: \"${ONE}\"}", "{env: \"${OTHER}\"}"), ("{file: \"${ONE}\"}", "{file: \"${OTHER}\"}"),
    (
      "{address: {env: ONE}, ssl_cert_reqs: required}", "{address: {env: OTHER}, ssl_cert_reqs: required}"
    ),
    ("{host: h, password: \"${ONE}\"}", "{host: h, password: \"${OTHER}\"}"),
  ])
  func `the address of a Redis server that is not there is compared by its name`(
    _ one: String, _ other: String
  ) throws {
    #expect(try facts(comparison(layer(one), layer(one))) == [])
    let changed = try comparison(layer(one), layer(other))
    #expect(changed.settings.map(\.key) == ["channel_layers.default"])
    for setting in changed.settings {
      #expect(!(setting.old + setting.new).contains("stand-in") && !setting.new.contains("localhost"))
    }
  }

  @Test func `servers whose addresses are not there are the same where their names are`() throws {
    func layers(_ hosts: String) throws -> ChannelLayerConfiguration {
      try read(layer(hosts)).channelLayers[0]
    }
    let one = try layers("{env: ONE}")
    #expect(try one.isSamePlace(as: layers("{env: ONE}")))
    #expect(try one.isSamePlace(as: layers("{address: {env: ONE}, socket_connect_timeout: 3s}")))
    #expect(try !one.isSamePlace(as: layers("{env: OTHER}")))
    #expect(try !one.isSamePlace(as: layers("{address: {env: ONE}, db: 2}")))
  }

  @Test func `an address of the same name has TLS or not, as before`() throws {
    func marks(_ old: String, _ new: String) throws -> [String] {
      try comparison(layer(old), layer(new)).marks.map(\.kind.rawValue)
    }
    let one = "{address: {env: ONE}}"
    #expect(try marks(one, "{address: {env: ONE}, socket_connect_timeout: 3s}") == [])
    #expect(try marks(one, "{address: {env: ONE}, ssl_cert_reqs: none}") == ["encryption-weaker"])
    #expect(try marks(one, "{address: {env: ONE}, ssl_check_hostname: false}") == ["encryption-weaker"])
    #expect(try marks(one, "{address: {env: ONE}, ssl_cert_reqs: required}") == [])
  }

  @Test func `an address that is not there may be one without TLS`() throws {
    func marks(_ old: String, _ new: String) throws -> [String] {
      try comparison(layer(old), layer(new)).marks.map { "\($0.kind.rawValue): \($0.text)" }
    }
    let unknown = "encryption-off: Redis may be used without TLS: its address is not here"
    #expect(try marks("\"rediss://h\"", "{env: ONE}") == [unknown])
    #expect(try marks("{env: ONE}", "{env: OTHER}") == [unknown])
    #expect(try marks("{env: ONE}", "\"redis://h\"") == ["encryption-off: Redis is used without TLS"])
    #expect(try marks("{env: ONE}", "\"rediss://h\"") == [])
    #expect(try marks("\"redis://h\"", "{env: ONE}") == [])
  }

  @Test func `the variable in the text of a secret is its name`() throws {
    func keys(_ key: String) -> String {
      "channel_layers: {default: {backend: redis, config: {symmetric_encryption_keys: [\(key)]}}}"
    }
    #expect(try facts(comparison(keys("\"${ONE}\""), keys("\"${ONE}\""))) == [])
    #expect(try facts(comparison(keys("\"${ONE}\""), keys("\"${OTHER}\""))) == ["channel_layers.default"])
    #expect(
      try facts(comparison(keys("\"${ONE}\""), keys(""))) == ["channel_layers.default", "encryption-off"])
  }
}
