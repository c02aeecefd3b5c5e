import LayerTestSupport
import Testing

@testable import GatewayConfig

private func findings(_ text: String) -> [Finding] {
  ConfigurationLoader.load(path: "routes.yaml", environment: [:], files: MemoryFiles(text: text)).report
    .findings
}

struct NearestNameTests {
  @Test(arguments: [
    ("keepAlive", "keep_alive"), ("keep-alive", "keep_alive"), ("keepalive", "keep_alive"),
    ("KEEP ALIVE", "keep_alive"), ("sendqueue", "send_queue"), ("perip", "per_ip"),
    ("trustedproxies", "trusted_proxies"), ("trustd-proxys", "trusted_proxies"), ("Keep_alve", "keep_alive"),
    ("image-png", "image_png"),
  ])
  func `what joins the words of a name makes no difference`(_ name: String, _ meant: String) {
    let known = ["send_queue", "ping", "per_ip", "keep_alive", "trusted_proxies", "image_png", "message"]
    #expect(NearestName.of(name, in: known) == meant)
  }

  @Test func `between two that differ in it the one that is written so is nearer`() {
    #expect(NearestName.of("chat-A", in: ["chat_a", "chat-a", "chata"]) == "chat-a")
    #expect(NearestName.of("chat_a", in: ["chat-a", "chata", "chat_b"]) != "chat_b")
    #expect(NearestName.of(String(repeating: "_", count: 1_000_000) + "ping", in: ["ping"]) == "ping")
    #expect(NearestName.of("fortnight", in: ["ping", "message"]) == nil)
  }
}

struct MisplacedKeyTests {
  @Test(arguments: [
    ("message: 1MiB", ", and the keys below it"), ("threads: 1", ""), ("zqzq: 1", ""),
    ("applications: x", ""),
  ])
  func `the keys below are to be moved along only where they are keys of the same mapping`(
    _ next: String, _ others: String
  ) {
    let limits = """
      limits:
        handshake: 10s
      ping: 30s
      \(next)
      """
    let found = findings(limits).filter { $0.message == "unknown key \"ping\" in the file" }
    #expect(found.map(\.hint) == ["indent it to column 3\(others): it is a key of \"limits\""])
  }

  private static let topKeys = [
    "installed_apps", "asgi_application", "channel_layers", "applications", "server", "limits", "shutdown",
    "logging", "auth", "compression",
  ]

  /// Where a key is written that does not belong there; KEY stands for it.
  private static let sections = [
    "server": "server: {KEY: x}", "limits": "limits: {KEY: x}", "per_ip": "limits: {per_ip: {KEY: x}}",
    "ping": "limits: {ping: {KEY: x}}", "shutdown": "shutdown: {KEY: x}", "logging": "logging: {KEY: x}",
    "compression": "compression: {KEY: x}", "layer": "channel_layers: {default: {backend: memory, KEY: x}}",
    "config": "channel_layers: {default: {backend: redis, config: {KEY: x}}}",
    "host": "channel_layers: {default: {backend: redis, config: {hosts: [{host: h, KEY: x}]}}}",
    "authenticator": "auth: {users: {KEY: x}}", "jwt": "auth: {users: {jwt: {KEY: x}}}",
    "callback": "auth: {users: {callback: {url: \"http://h/\", KEY: x}}}", "tls": "server: {tls: {KEY: x}}",
    "bind": "server: {bind: {address: \"127.0.0.1:1\", KEY: x}}",
    "application": "applications: {main: {KEY: x}}",
    "protocol": "applications: {main: {websocket: {routes: [], KEY: x}}}",
    "http protocol": "applications: {main: {http: {routes: [], KEY: x}}}",
    "route": "applications: {main: {websocket: [{path: a/, consumer: echo, KEY: x}]}}",
    "http route": "applications: {main: {http: [{path: a/, respond: a, KEY: x}]}}",
    "events": "applications: {main: {http: [{path: a/, events: {group: a, KEY: x}}]}}",
    "publish": "applications: {main: {http: [{path: a/, publish: {groups: [a], KEY: x}}]}}",
    "proxy": "applications: {main: {http: [{path: a/, proxy: {to: \"http://h\", KEY: x}}]}}",
    "static": "applications: {main: {http: [{path: a/, static: {folder: a, KEY: x}}]}}",
    "respond": "applications: {main: {http: [{path: a/, respond: {body: a, KEY: x}}]}}",
    "redirect": "applications: {main: {http: [{path: a/, redirect: {to: /a, KEY: x}}]}}",
    "history":
      "applications: {main: {http: [{path: a/, events: {group: a, history: {messages: 1, KEY: x}}}]}}",
  ]

  /// The hints of keys that are unknown in a section, all of which stand there.
  private static func hints(_ keys: [String], in section: String) -> [String: String] {
    let text = section.replacing("KEY: x", with: keys.map { "\($0): x" }.joined(separator: ", "))
    var hints: [String: String] = [:]
    for finding in findings(text) where finding.code == .unknownKey {
      guard let key = keys.first(where: { finding.message.hasPrefix("unknown key \"\($0)\"") }) else {
        continue
      }
      hints[key] = finding.hint ?? "no hint"
    }
    return hints
  }

  @Test func `a key of the top level says so wherever else it stands`() {
    for (name, section) in Self.sections {
      let hints = Self.hints(Self.topKeys, in: section)
      // Some have a home in the section, too.
      #expect(hints.count >= Self.topKeys.count - 3, "\(name): \(hints)")
      // It has a key of its own with almost the name.
      for (key, hint) in hints where hint != "did you mean \"channel_layer\"?" {
        #expect(hint.contains("at the top level"), "\(name): \(key): \(hint)")
      }
    }
  }

  @Test func `a key of a section says so at the top level and in the other sections`() {
    let homes = [
      "server": ["bind", "threads", "tls", "trusted_proxies"], "shutdown": ["grace", "code"],
      "logging": ["level", "format", "sessions"],
      "limits": [
        "connections", "per_ip", "handshake", "keep_alive", "message", "ping", "send_queue", "send_memory",
      ],
      "compression": ["threshold", "window", "context_takeover"], "tls": ["certificate", "minimum_version"],
    ]
    let places = ["server", "shutdown", "logging", "limits", "compression", "application"]
    for text in ["{KEY: x}"] + places.compactMap({ Self.sections[$0] }) {
      let hints = Self.hints(homes.values.flatMap(\.self), in: text)
      #expect(hints.count >= 12)
      for (home, keys) in homes {
        for key in keys {
          guard let hint = hints[key] else { continue }
          #expect(hint.contains("belongs under") && hint.contains(home), "\(text): \(key): \(hint)")
        }
      }
    }
  }
}

struct UserPlaceHintTests {
  @Test func `what is known of a user is a claim, and never what the client says of itself`() throws {
    let file = { (auth: String) in
      """
      installed_apps: [chat]
      channel_layers: {default: {backend: memory}}
      auth: {site: {callback: {url: "http://127.0.0.1:8001/me/"}}}
      applications:
        main:
          websocket:
            - path: a/
              consumer: chat
              group: g
              \(auth)
              receive: {else: {event: {type: chat.typing, user: "{user.name}"}}}
      """
    }
    let known = try #require(findings(file("auth: site")).first { $0.severity == .error }?.hint)
    #expect(known.contains("{claims.name}") && !known.contains("frame"))
    let anonymous = try #require(
      findings(file("events: {chat.typing: event}")).first { $0.severity == .error }?.hint)
    #expect(anonymous.contains("\"auth\"") && !anonymous.contains("frame"))
  }
}

struct ProposalTests {
  private static let keys = [
    "limits: {handshake: X}", "limits: {keep_alive: X}", "limits: {ping: X}",
    "limits: {message: X, send_queue: 1GiB}",
    "limits: {message: 1B, send_queue: X}", "limits: {send_memory: X, send_queue: 1KiB, message: 1B}",
    "limits: {receive_memory: X, message: 1B}", "limits: {body_memory: X}", "limits: {history_memory: X}",
    "shutdown: {grace: X}", "shutdown: {code: X}", "server: {threads: X}", "compression: {threshold: X}",
    "compression: {level: X}",
    "channel_layers: {default: {backend: redis, config: {expiry: X}}}",
  ]

  @Test func `what a hint proposes to write is not refused in its turn`() {
    var proposals = 0
    for key in Self.keys {
      for value in [
        "0", "1", "5", "64", "100", "512", "1000", "86400", "2000000000", "1kb", "5min", "007",
        "99999999999999999999",
      ] {
        let file = { (value: String) in
          key.replacing("X", with: value)
            + "\ninstalled_apps: [echo]\napplications: {main: {websocket: [{path: a/, consumer: echo}]}}"
        }
        for hint in findings(file(value)).compactMap(\.hint) where hint.hasPrefix("write ") {
          for proposal in hint.dropFirst("write ".count).split(separator: " or ")
          where proposal.utf8.first.map({ "0123456789".utf8.contains($0) }) == true {
            proposals += 1
            let errors = findings(file(String(proposal))).filter { $0.severity == .error }
            #expect(errors.isEmpty, "\(file(value)): \(hint)")
          }
        }
      }
    }
    #expect(proposals > 100)
  }
}
