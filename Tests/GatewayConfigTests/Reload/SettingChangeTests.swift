import LayerTestSupport
import Testing

@testable import GatewayConfig

private func configuration(_ settings: String) throws -> Configuration {
  try ConfigurationLoader.configuration(
    of: """
      installed_apps: [chat]
      \(settings)
      applications: {main: {websocket: [{path: ws/, consumer: chat, group: g}]}}
      """)
}

struct SettingChangeTests {
  private static let memory = "channel_layers: {default: {backend: memory}}"

  private static let rows: [(settings: String, change: SettingChange)] = [
    (
      "server: {threads: 3}",
      SettingChange(key: "server.threads", old: "one for each processor", new: "3", need: .upgrade)
    ),
    (
      "server: {reuse_port: true}",
      SettingChange(key: "server.reuse_port", old: "false", new: "true", need: .upgrade)
    ),
    ("shutdown: {back: now}", SettingChange(key: "shutdown.back", old: "1s", new: "now", need: .reload)),
    (
      "server: {bind: \"127.0.0.1:9\"}",
      SettingChange(key: "server.bind", old: "127.0.0.1:8000", new: "127.0.0.1:9", need: .reload)
    ),
    (
      "server: {trusted_proxies: 10.0.0.0/8}",
      SettingChange(key: "server.trusted_proxies", old: "none", new: "10.0.0.0/8", need: .reload)
    ),
    (
      "limits: {send_memory: 8MiB}",
      SettingChange(
        key: "limits.send_memory", old: "a quarter of the process's memory", new: "8MiB", need: .upgrade)
    ),
    (
      "limits: {per_ip: {handshakes: 3/s}}",
      SettingChange(key: "limits.per_ip.handshakes", old: "none", new: "3/s burst 3", need: .reload)
    ),
    ("shutdown: {grace: 3s}", SettingChange(key: "shutdown.grace", old: "10s", new: "3s", need: .reload)),
    (
      "logging: {level: debug}", SettingChange(key: "logging.level", old: "info", new: "debug", need: .reload)
    ),
    (
      "logging: {format: json}",
      SettingChange(key: "logging.format", old: "text", new: "json", need: .upgrade)
    ),
  ]

  @Test(arguments: rows)
  func `a setting that differs is told with both values and what it needs`(
    _ row: (settings: String, change: SettingChange)
  ) throws {
    let (old, new) = (try configuration(Self.memory), try configuration("\(Self.memory)\n\(row.settings)"))
    #expect(old.settingChanges(to: new) == [row.change])
    #expect(old.settingChanges(to: old).isEmpty)
    #expect(
      new.keepingWhatNeedsUpgrade(of: old).settingChanges(to: new).map(\.need)
        == (row.change.need == .upgrade ? [.upgrade] : []))
  }

  @Test func `what follows from a setting that stays as it was stays, too`() throws {
    let old = try configuration(Self.memory)
    let new = try configuration("\(Self.memory)\nserver: {reuse_port: true}")
    #expect(old.nextListener == .after(.seconds(1)) && new.nextListener == .now)
    #expect(new.keepingWhatNeedsUpgrade(of: old).nextListener == .after(.seconds(1)))
    #expect(old.keepingWhatNeedsUpgrade(of: new).nextListener == .now)
  }

  @Test func `layers and authenticators are compared by what they are, and secrets are not shown`() throws {
    func redis(_ password: String) throws -> Configuration {
      try configuration(
        "channel_layers: {default: {backend: redis, config: {hosts: [\"redis://:\(password)@h:6379/0\"]}}}")
    }
    let changes = try redis("first-secret").settingChanges(to: redis("other-secret"))
    #expect(changes.map(\.key) == ["channel_layers.default"])
    #expect(changes.allSatisfy { !$0.old.contains("secret") && !$0.new.contains("secret") })
    #expect(changes.first?.new.hasSuffix("with another password, TLS or time for new connections") == true)
  }

  /// A layer, and what a reload does with it where `redis://h:6379/0` with a prefix was before.
  private static let layersAfter: [(config: String, isSamePlace: Bool, need: SettingChange.Need)] = [
    ("{hosts: [\"redis://:another@h:6379/0\"], prefix: p}", true, .reload),
    ("{hosts: [\"rediss://h:6379/0\"], prefix: p}", true, .reload),
    ("{hosts: [\"redis://h:6379/0\"], prefix: p, capacity: 7}", true, .upgrade),
    ("{hosts: [\"redis://h:6379/0\"], prefix: p, expiry: 7s}", true, .upgrade),
    ("{hosts: [\"redis://:another@h:6379/0\"], prefix: p, capacity: 7}", true, .upgrade),
    ("{hosts: [\"redis://h:6379/1\"], prefix: p}", false, .reload),
    ("{hosts: [\"redis://h:6380/0\"], prefix: p}", false, .reload),
    ("{hosts: [\"redis://h:6379/0\", \"redis://i:6379/0\"], prefix: p}", false, .reload),
    ("{hosts: [\"redis://h:6379/0\"], prefix: q, capacity: 7}", false, .reload),
  ]

  @Test(arguments: layersAfter)
  func `a layer at the same place stays, with the options that it was made with`(
    _ row: (config: String, isSamePlace: Bool, need: SettingChange.Need)
  ) throws {
    func layers(_ config: String) throws -> Configuration {
      try configuration("channel_layers: {default: {backend: redis, config: \(config)}}")
    }
    let (old, new) = (try layers("{hosts: [\"redis://h:6379/0\"], prefix: p}"), try layers(row.config))
    #expect(old.channelLayers[0].isSamePlace(as: new.channelLayers[0]) == row.isSamePlace)
    #expect(old.settingChanges(to: new).map(\.need) == [row.need])
    // What is served then differs from the old file by what a reload takes on, and from the new one by the rest.
    let served = new.keepingWhatNeedsUpgrade(of: old)
    #expect(served.settingChanges(to: new).map(\.need) == (row.need == .upgrade ? [.upgrade] : []))
    #expect(old.settingChanges(to: served).allSatisfy { $0.need == .reload })
  }

  @Test func `a layer that was not in use is made with the options of the new file`() throws {
    func layers(_ capacity: Int, _ layer: String) throws -> Configuration {
      try ConfigurationLoader.configuration(
        of: """
          installed_apps: [chat]
          channel_layers: {default: {backend: memory}, spare: {backend: redis, config: {capacity: \(capacity)}}}
          applications: {main: {websocket: [{path: ws/, consumer: chat, group: g, channel_layer: \(layer)}]}}
          """)
    }
    let uses: [(String, String, SettingChange.Need)] = [
      ("default", "spare", .reload), ("spare", "default", .reload), ("spare", "spare", .upgrade),
    ]
    for (old, new, need) in uses {
      let (old, new) = (try layers(100, old), try layers(7, new))
      #expect(old.settingChanges(to: new).filter { $0.key == "channel_layers.spare" }.map(\.need) == [need])
      let served = new.keepingWhatNeedsUpgrade(of: old)
      #expect((served.channelLayers == new.channelLayers) == (need == .reload))
    }
  }

  @Test func `what is shown of a layer that stays has the servers of the new file`() throws {
    func layers(_ config: String) throws -> Configuration {
      try configuration("channel_layers: {default: {backend: redis, config: {\(config)}}}")
    }
    let old = try layers("hosts: [\"redis://h:6379/0\"], capacity: 100")
    let served = try layers("hosts: [\"rediss://h:6379/0\"], capacity: 7").keepingWhatNeedsUpgrade(of: old)
    let shown = try #require(served.written).document
    let config = shown.entry("channel_layers")?.value.entry("default")?.value.entry("config")?.value
    #expect(config?.entry("capacity")?.value.isWord("100") == true)
    #expect(config?.entry("hosts")?.value.items.first?.isWord("rediss://h:6379/0") == true)
  }

  @Test func `of another token for commands it is said that it is one`() throws {
    func admin(_ token: Character) throws -> Configuration {
      try ConfigurationLoader.configuration(
        of: """
          server: {admin: {address: "127.0.0.1:9001", token: {env: TOKEN}}}
          installed_apps: [echo]
          applications: {main: {websocket: [{path: ws/, consumer: echo}]}}
          """, environment: ["TOKEN": String(repeating: token, count: 32)])
    }
    #expect(
      try admin("a").settingChanges(to: admin("b")) == [
        SettingChange(
          key: "server.admin", old: "127.0.0.1:9001", new: "127.0.0.1:9001, with another token",
          need: .upgrade)
      ])
  }

  @Test func `of another key of tokens it is said that sessions of the old one stay`() throws {
    func users(_ secret: Character, _ more: String = "") throws -> Configuration {
      try ConfigurationLoader.configuration(
        of: """
          installed_apps: [echo]
          auth: {users: {jwt: {secret: {env: KEY}\(more)}}}
          applications: {main: {websocket: [{path: ws/, consumer: echo, auth: users}]}}
          """, environment: ["KEY": String(repeating: secret, count: 32)])
    }
    let changes = try users("a").settingChanges(to: users("b"))
    #expect(
      changes.map(\.new) == ["jwt, with another key; clients that are connected stay until their tokens end"])
    #expect(
      try users("a").settingChanges(to: users("a", ", leeway: 1m")).map(\.new) == ["jwt, with other options"])
    #expect(
      try users("a").settingChanges(to: users("b", ", expiry: keep")).map(\.new)
        == ["jwt, with another key; clients that are connected stay"])
  }

  @Test func `what a layer in Redis lacks for other routes cannot be taken on`() throws {
    func configuration(_ keys: String, _ backend: String) throws -> Configuration {
      try ConfigurationLoader.configuration(
        of: """
          installed_apps: [chat]
          channel_layers: {default: {backend: \(backend)}}
          applications: {main: {websocket: [{path: ws/, consumer: chat, group: g\(keys)}]}}
          """)
    }
    for (backend, isBlocked) in [("redis", true), ("memory", false)] {
      let (plain, present) = (try configuration("", backend), try configuration(", presence: true", backend))
      let changes = plain.layerFeatures(neededBy: present)
      #expect(changes.map(\.new) == (isBlocked ? ["with presence"] : []))
      #expect(changes.allSatisfy { $0.isBlocking })
      #expect(present.layerFeatures(neededBy: plain).isEmpty)
    }
  }

  @Test func `a layer has what it was made for, whatever was served since`() throws {
    func configuration(_ keys: String) throws -> Configuration {
      try ConfigurationLoader.configuration(
        of: """
          installed_apps: [chat]
          channel_layers: {default: {backend: redis}}
          applications: {main: {websocket: [{path: ws/, consumer: chat, group: g\(keys)}]}}
          """)
    }
    let first = try configuration(", presence: true, history: {messages: 5}")
    let (plain, other) = (try configuration(""), try configuration(", history: {messages: 6}"))
    let made = ["default": LayerFeatures(first.channelLayers[0], for: first.served)]
    #expect(plain.layerFeatures(neededBy: first).count == 2)
    #expect(plain.layerFeatures(neededBy: first, of: made).isEmpty)
    #expect(plain.layerFeatures(neededBy: other, of: made).map(\.old) == ["history of g: 5 messages, 1h"])
    #expect(ConfigurationComparison(from: plain, to: first, layers: made).need == .reload)
  }

  /// The keys whose values belong to routes, wherever they stand.
  private static let ofRoutes: Set = [
    "limits.message", "limits.send_queue", "limits.ping", "limits.rate", "limits.per_ip", "limits.per_user",
  ]

  @Test func `every key of the server, its limits, its end and its log is compared`() {
    let places: [KeyPlace] = [.server, .limits, .perAddress, .perUser, .shutdown, .logging]
    let compared = Set(ExchangedSetting.all.map(\.key))
    for key in Key.all {
      for place in key.places where places.contains(place) {
        let path = place.path + key.name
        #expect(compared.contains(path) || Self.ofRoutes.contains(path), "\(path)")
      }
    }
  }
}
