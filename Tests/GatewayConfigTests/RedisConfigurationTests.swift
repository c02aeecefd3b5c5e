import LayerTestSupport
import Testing

@testable import GatewayConfig

/// Files that need not be there.
private struct NoFiles: FileAccess {
  var files: [String: String]

  func contents(of path: String, as use: FileUse) -> Result<[UInt8], FileFault> {
    files[path].map { .success(Array($0.utf8)) } ?? .failure(FileFault("it is not there"))
  }
  func isDirectory(_ path: String) -> Bool { false }
  func names(in directory: String) -> [String] { [] }
  func isReadableByAll(_ path: String) -> Bool { false }
  func absolute(_ path: String) -> String { "/abs/" + path }
}

struct RedisConfigurationTests {
  /// The layer `default` with this `config`, and what was found.
  private func load(
    _ config: String, backend: String = "redis", files: [String: String] = [:],
    environment: [String: String] = [:]
  ) -> (layer: RedisLayerConfiguration?, findings: [Finding]) {
    let text = """
      installed_apps: [echo]
      channel_layers: {default: {backend: \(backend), config: \(config)}}
      applications: {main: {websocket: [{path: ws/, consumer: echo}]}}
      """
    var files = files
    files["routes.yaml"] = text
    let loaded = ConfigurationLoader.load(
      path: "routes.yaml", environment: environment, files: NoFiles(files: files))
    guard case .redis(let layer)? = loaded.configuration?.channelLayers.first?.backend else {
      return (nil, loaded.report.findings)
    }
    return (layer, loaded.report.findings)
  }

  @Test func `without a config everything is as in channels_redis`() throws {
    let layer = try #require(load("{}").layer)
    #expect(layer.hosts == [RedisHost(.tcp(host: "localhost", port: 6379))])
    #expect(layer.prefix == "asgi" && layer.capacity == 100 && layer.randomPrefixLength == 12)
    #expect(layer.expiry == .seconds(60) && layer.groupExpiry == .seconds(86400))
    #expect(layer.format == .msgpack && layer.encryptionKeys.isEmpty)
    #expect(load("{hosts: []}").layer?.hosts.count == 1)
  }

  /// As channels_redis documents it for Heroku, and the ways of YAML to write nothing.
  @Test(.bug(id: "redis-cert-reqs"), arguments: ["None", "none", "null", "~"])
  func `a certificate that is not looked at is written as in Python`(_ value: String) throws {
    let loaded = load("{hosts: [{address: \"rediss://h:1\", ssl_cert_reqs: \(value)}]}")
    #expect(loaded.findings == [])
    #expect(loaded.layer?.hosts.first?.tls?.verifiesCertificate == false)
  }

  @Test(
    .bug(id: "redis-slash-in-password"),
    arguments: ["redis://:a/s3cret@h:1/0", "rediss://u:a?s3cret@h", "redis://u:b/s3@cret@h/1"])
  func `what ends the name of a server is not to stand in a password`(_ url: String) throws {
    let findings = load("{hosts: [\"\(url)\"]}").findings
    #expect(findings.map(\.code) == [.invalidValue])
    #expect(findings.first?.hint == "write %2F or %3F for it")
    #expect(!findings.contains { ($0.message + ($0.hint ?? "")).contains("s3cret") })
  }

  @Test(arguments: [
    ("redis://localhost", "redis://localhost:6379/0"),
    ("redis://10.0.0.1:7000/3", "redis://10.0.0.1:7000/3"),
    ("redis://[::1]:7000", "redis://[::1]:7000/0"),
    ("redis://h/2?socket_timeout=20", "redis://h:6379/2"),
    ("redis://h?db=4", "redis://h:6379/4"),
    ("rediss://h:1", "rediss://h:1/0"),
    ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock?db=1"),
  ]) func `addresses`(_ url: String, _ meaning: String) throws {
    let loaded = load("{hosts: [\"\(url)\"]}")
    #expect(loaded.findings == [])
    #expect(loaded.layer?.hosts.map(\.description) == [meaning])
  }

  @Test func `a user and a password are decoded, and never part of the description`() throws {
    let loaded = load(
      "{hosts: [\"${URL}\"]}", environment: ["URL": "rediss://us%65r:p%40ss@h:1/0?ssl_cert_reqs=none"])
    let host = try #require(loaded.layer?.hosts.first)
    #expect(loaded.findings == [])
    #expect(host.credentials == .init(username: "user", password: "p@ss"))
    #expect(host.tls?.verifiesCertificate == false)
    #expect(!host.description.contains("p@ss"))
  }

  /// As `urllib.parse.unquote` does it, which redis-py calls.
  @Test func `a percent sign without two digits stands for itself`() throws {
    let loaded = load("{hosts: [\"${URL}\"]}", environment: ["URL": "redis://:%+1%zz%41%@h"])
    #expect(loaded.layer?.hosts.first?.credentials.password == "%+1%zzA%")
  }

  @Test func `an address may be a reference like any secret`() throws {
    let loaded = load(
      "{hosts: [{env: REDIS_URL}]}", environment: ["REDIS_URL": "redis://:s3cret@example.com:7000/2"])
    #expect(loaded.findings.isEmpty)
    let host = try #require(loaded.layer?.hosts.first)
    #expect(host.description == "redis://example.com:7000/2")
    #expect(host.credentials.password == "s3cret")
    #expect(load("{hosts: [{env: REDIS_URL}]}").findings.map(\.code) == [.undefinedVariable])
  }

  @Test func `hosts as channels_redis has them`() throws {
    let loaded = load(
      """
      {hosts: [[h, 1], {host: h, port: 2, db: 3, password: {env: PW}, socket_timeout: null}, \
      {address: "rediss://h:4", ssl_cert_reqs: null, ssl_ca_certs: ca.pem}, \
      {master_name: m, sentinels: [[s, 26379], [t, 26380]], sentinel_kwargs: {password: {env: PW}}, db: 5}]}
      """, files: ["ca.pem": "x"], environment: ["PW": "secret"])
    #expect(loaded.findings == [])
    let hosts = try #require(loaded.layer).hosts
    #expect(hosts[0].place == .tcp(host: "h", port: 1))
    #expect(hosts[1].place == .tcp(host: "h", port: 2) && hosts[1].database == 3)
    #expect(hosts[1].credentials.password == "secret")
    #expect(hosts[2].tls?.verifiesCertificate == false && hosts[2].tls?.trustedCertificates == "/abs/ca.pem")
    guard case .sentinel("m", let sentinels) = hosts[3].place else { throw Missing() }
    #expect(sentinels.addresses == [.init(host: "s", port: 26379), .init(host: "t", port: 26380)])
    #expect(sentinels.credentials.password == "secret" && hosts[3].database == 5)
  }

  private struct Missing: Error {}

  @Test func `what redis-py needs for itself is known in every form`() {
    let options =
      "max_connections: 10, health_check_interval: 30, socket_keepalive: true, client_name: django"
    let loaded = load(
      """
      {hosts: [{host: h, \(options)}, {address: "redis://h", \(options)}, \
      "redis://h?max_connections=10&health_check_interval=30&socket_keepalive=True", \
      {master_name: m, sentinels: [[s, 1]], sentinel_kwargs: {\(options)}, \(options)}]}
      """)
    #expect(loaded.findings == [])
  }

  @Test func `null is Python's None: as if the key were not there`() throws {
    let loaded = load(
      """
      {hosts: [{host: h, username: null, password: null, socket_timeout: ~, socket_connect_timeout: null}, \
      {master_name: m, sentinels: [[s, 1]], sentinel_kwargs: null, password: null}]}
      """)
    #expect(loaded.findings == [])
    let hosts = try #require(loaded.layer).hosts
    #expect(hosts.map(\.credentials) == [.init(), .init()])
    #expect(hosts[0].connectTimeout == .seconds(5))
    // In quotes it is a word.
    #expect(
      load(#"{hosts: [{host: h, password: "null"}]}"#).layer?.hosts.first?.credentials.password == "null")
  }

  @Test func `TLS can be had for every place, and for the sentinels by themselves`() throws {
    let loaded = load(
      """
      {hosts: [{host: h, ssl: true, ssl_cert_reqs: none}, {host: h, ssl: false}, \
      {master_name: m, sentinels: [[s, 1]], ssl: true, ssl_ca_certs: ca.pem, \
      sentinel_kwargs: {ssl: true, ssl_check_hostname: false, socket_connect_timeout: 2s}}]}
      """, files: ["ca.pem": "x"])
    #expect(loaded.findings == [])
    let hosts = try #require(loaded.layer).hosts
    #expect(hosts[0].tls == RedisHost.TLS(verifiesCertificate: false) && hosts[1].tls == nil)
    #expect(hosts[2].tls == RedisHost.TLS(trustedCertificates: "/abs/ca.pem"))
    guard case .sentinel(_, let sentinels) = hosts[2].place else { throw Missing() }
    #expect(
      sentinels.tls == RedisHost.TLS(verifiesHostname: false) && sentinels.connectTimeout == .seconds(2))
  }

  @Test(arguments: [
    "redis://h/0?password=s3cret", "redis://:s3cret@h", "redis://u:s3cret@h/0", "unix:///s?password=s3cret",
  ]) func `a password in the file is warned of, wherever it stands`(_ url: String) {
    let findings = load("{hosts: [\"\(url)\"]}").findings
    #expect(findings.map(\.code) == [.plainSecret])
    #expect(!findings.contains { $0.message.contains("s3cret") })
  }

  @Test(arguments: [
    "://:s3cret@h", "reds://:s3cret@h", "redis://:a/s3cret@h", "redis://:a?s3cret@h/x", "redis://h/s3cret",
    "redis://h?db=s3cret", "redis://h?socket_connect_timeout=s3cret", "s3cret", "redis://u:1?s3cret@h",
  ]) func `a finding shows nothing of an address that cannot be read`(_ url: String) {
    let findings = load("{hosts: [\"${URL}\"]}", environment: ["URL": url]).findings
    #expect(findings.contains { $0.severity == .error })
    #expect(!findings.contains { ($0.message + ($0.hint ?? "")).contains("s3cret") }, "\(findings)")
  }

  @Test(arguments: [
    "{address: \"redis://h\", host: h}", "{address: \"redis://h\", port: 1}",
    "{host: h, master_name: m, sentinels: [[s, 1]]}", "{address: \"redis://h\", sentinels: [[s, 1]]}",
    "{address: \"unix:///s\", ssl: true}", "{master_name: m, sentinels: [[s, 1]], port: 1}",
  ]) func `a host is named in one way`(_ host: String) {
    let loaded = load("{hosts: [\(host)]}")
    #expect(loaded.layer == nil)
    #expect(loaded.findings.map(\.code) == [.conflictingKeys])
  }

  @Test func `the first pattern that fits tells the capacity`() throws {
    let layer = try #require(
      load(#"{capacity: 7, channel_capacity: {"specific.*": 1000, "re:jobs|work": 3, "job?": 4}}"#).layer)
    #expect(layer.capacity(of: "specific.abc!1") == 1000)
    #expect(layer.capacity(of: "a.specific.abc!1") == 7)
    #expect(layer.capacity(of: "jobs.of.today") == 3)
    #expect(layer.capacity(of: "jobx") == 4)
    #expect(layer.capacity(of: "jobxy") == 7)
  }

  @Test func `a key from a file loses the line feed at its end`() throws {
    let loaded = load("{symmetric_encryption_keys: [{file: key}]}", files: ["key": "s3cret\n"])
    #expect(loaded.layer?.encryptionKeys == ["s3cret"])
  }

  @Test(arguments: [
    (#"{hosts: ["redis://h:x"]}"#, "needs a port"),
    (#"{hosts: ["redis://h/x"]}"#, "number of a database"),
    (#"{hosts: ["redis://h?colour=red"]}"#, "unknown option"),
    (#"{hosts: ["unix://"]}"#, "no socket path"),
    (#"{hosts: [{host: h, ssl_cert_reqs: none}]}"#, "rediss://"),
    (#"{hosts: [{address: "rediss://h", ssl_cert_reqs: maybe}]}"#, "cannot be"),
    (#"{hosts: [{master_name: m}]}"#, "sentinels"),
    (#"{channel_capacity: {"re:(": 3}}"#, "("),
  ]) func `what is wrong is found`(_ config: String, _ words: String) {
    let loaded = load(config)
    #expect(loaded.layer == nil)
    #expect(loaded.findings.contains { $0.message.contains(words) }, "\(loaded.findings.map(\.message))")
  }
}
