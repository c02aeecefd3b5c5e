import Foundation
import TestSupport
import Testing

@testable import GatewayConfig

/// A file with a mapping of each kind, at `HERE`.
private let files: [KeyPlace: String] = [
  .file: "HERE",
  .server: "server: {HERE}",
  .address: "server: {bind: {HERE}}",
  .admin: "server: {admin: {HERE}}",
  .serverTLS: "server: {tls: {HERE}}",
  .certificate: "server: {tls: {certificates: [{HERE}]}}",
  .limits: "limits: {HERE}",
  .perAddress: "limits: {per_ip: {HERE}}",
  .perUser: "limits: {per_user: {HERE}}",
  .ping: "limits: {ping: {HERE}}",
  .rate: "limits: {rate: {HERE}}",
  .sessionLimits: "applications: {main: {websocket: [{path: a, consumer: echo, limits: {HERE}}]}}",
  .streamLimits: "applications: {main: {http: [{path: a, events: news, limits: {HERE}}]}}",
  .compression: "compression: {HERE}",
  .shutdown: "shutdown: {HERE}",
  .logging: "logging: {HERE}",
  .channelLayer: "channel_layers: {default: {HERE}}",
  .redisHost: "channel_layers: {default: {backend: redis, config: {hosts: [{HERE}]}}}",
  .sentinelOptions: """
  channel_layers: {default: {backend: redis, config: {hosts: [{master_name: a, sentinels: [[b, 1]], sentinel_kwargs: {HERE}}]}}}
  """,
  .authenticator: "auth: {users: {HERE}}",
  .jwt: "auth: {users: {jwt: {HERE}}}",
  .tokenSource: "auth: {users: {jwt: {secret: {env: X}, from: [{HERE}]}}}",
  .callback: "auth: {users: {callback: {HERE}}}",
  .permission: "applications: {main: {websocket: [{path: a, consumer: echo, permission: {HERE}}]}}",
  .userClaim: "auth: {users: {jwt: {user: {HERE}}}}",
  .upstreamTLS: "applications: {main: {http: [{path: a, proxy: {to: 'https://a', tls: {HERE}}}]}}",
  .application: "applications: {main: {HERE}}",
  .webSocketRoutes: "applications: {main: {websocket: {HERE}}}",
  .httpRoutes: "applications: {main: {http: {HERE}}}",
  .webSocketRoute: "applications: {main: {websocket: [{HERE}]}}",
  .httpRoute: "applications: {main: {http: [{HERE}]}}",
  .proxy: "applications: {main: {http: [{path: a, proxy: {HERE}}]}}",
  .publish: "applications: {main: {http: [{path: a, publish: {HERE}}]}}",
  .eventStream: "applications: {main: {http: [{path: a, events: {HERE}}]}}",
  .history: "applications: {main: {websocket: [{path: a, consumer: chat, group: g, history: {HERE}}]}}",
  .greeting: "applications: {main: {websocket: [{path: a, consumer: chat, group: g, connect: {HERE}}]}}",
  .receive: "applications: {main: {websocket: [{path: a, consumer: chat, group: g, receive: {HERE}}]}}",
  .receiveAction:
    "applications: {main: {websocket: [{path: a, consumer: chat, group: g, receive: {by: type, kinds: {a: {HERE}}}}]}}",
  .delivery: "applications: {main: {websocket: [{path: a, consumer: chat, group: g, deliver: {x: {HERE}}}]}}",
  .recipient:
    "applications: {main: {websocket: [{path: a, consumer: chat, group: g, deliver: {x: {to: {HERE}}}}]}}",
  .closing:
    "applications: {main: {websocket: [{path: a, consumer: chat, group: g, deliver: {x: {close: {HERE}}}}]}}",
  .files: "applications: {main: {http: [{path: a, static: {HERE}}]}}",
  .response: "applications: {main: {http: [{path: a, respond: {HERE}}]}}",
  .redirect: "applications: {main: {http: [{path: a, redirect: {HERE}}]}}",
  .secret: "auth: {users: {jwt: {secret: {HERE}}}}",
  .app: "HERE",
  .preset: "consumers: {one: {HERE}}",
]

private func form(of place: KeyPlace) -> String? {
  guard case .config(let backend) = place else { return files[place] }
  return "channel_layers: {default: {backend: \(backend.rawValue), config: {HERE}}}"
}

/// A folder with a configuration, and an app beside it.
private struct Folder {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
  }

  /// The keys that are unknown where `keys` stands in a mapping of this kind.
  func unknownKeys(at place: KeyPlace, _ keys: String) throws -> [String] {
    let isApp = place == .app || place == .preset
    let text = try #require(form(of: place), "\(place)").replacing("HERE", with: keys)
    try folder.write(isApp ? text : "{}", as: "app/app.yaml")
    let file = isApp ? "installed_apps: [echo, chat, ./app]" : text
    try folder.write(file, as: "routes.yaml")
    let loaded = ConfigurationLoader.load(path: folder.path("routes.yaml"), environment: [:])
    return loaded.report.findings.filter { $0.code == .unknownKey }.map(\.message)
  }
}

struct KeyTests {
  @Test(arguments: KeyPlace.all)
  func `each declared key is known where it stands, and no other one is`(_ place: KeyPlace) throws {
    let folder = try Folder()
    let isBlock = place == .file || place == .app
    for key in Key.at(place) {
      var keys = ["\(key.name): x"]
      if let beside = key.needs.first, beside != key.name { keys.append("\(beside): x") }
      if key.needs.isEmpty, place.isRoute, !key.isAction { keys.append("respond: x") }
      let found = try folder.unknownKeys(at: place, keys.joined(separator: isBlock ? "\n" : ", "))
      #expect(
        !found.contains { place == .secret || $0.contains("\"\(key.name)\"") },
        "\(place) \(key.name): \(found)")
    }
    // Otherwise the mapping is not read at all, and this test shows nothing. A key of a secret is not repeated: it may be the secret.
    let found = try folder.unknownKeys(at: place, "zqzqzqzq: x")
    let name = place == .secret ? "a key that no secret has" : "zqzqzqzq"
    #expect(found.contains { $0.contains(name) }, "\(place)")
  }

  @Test func `no key that may hold a secret counts as one whose value findings repeat`() {
    let keys = Key.all.filter { $0.value.mayBeSecret }
    #expect(keys.map(\.name).contains("symmetric_encryption_keys") && keys.count > 5)
    for key in keys {
      #expect(!KeysWithoutSecrets.contains(key.name, isWhole: false), "\(key.path)")
    }
  }

  @Test func `a mapping has each key once, and a key says what it means in a sentence`() {
    for place in KeyPlace.all {
      let names = Key.at(place).map(\.name)
      #expect(!names.isEmpty && Set(names).count == names.count, "\(place): \(names)")
      for alternative in place.alternatives {
        #expect(alternative.allSatisfy(names.contains), "\(place): \(alternative)")
      }
    }
    for key in Key.all {
      #expect(key.meaning.hasSuffix(".") && !key.meaning.contains("\n"), "\(key.path)")
      #expect(!key.meaning.replacing(/`[^`]*`/, with: "").contains("|"), "\(key.path)")
      #expect(key.required.allSatisfy(key.places.contains), "\(key.path)")
      for place in key.places {
        #expect(key.needs.allSatisfy { Key.named($0, at: place) != nil || place == .preset }, "\(key.path)")
      }
    }
  }

  @Test func `what stands for a name of another program is a key`() {
    let known = Set(Key.all.map(\.name))
    #expect(Habits.keys.values.joined().filter { !known.contains($0) } == [])
  }

  @Test func `every key stands in one section of the reference`() {
    let shown = KeyReference.sections.flatMap(\.keys).map(\.path)
    #expect(shown.count == Key.all.count)
    #expect(Set(Key.all.map(\.path)).subtracting(shown).isEmpty)
  }
}

extension KeyValue {
  /// Whether a mapping that leads to a secret may stand for the value, or for an entry of it.
  fileprivate var mayBeSecret: Bool {
    switch self {
    case .mapping(let place): place == .secret
    case .list(let entry, _): entry.mayBeSecret
    case .named(let value): value.mayBeSecret
    case .either(let forms): forms.contains(where: \.mayBeSecret)
    default: false
    }
  }
}
