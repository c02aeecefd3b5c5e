/// A kind of mapping in the configuration, by the keys that it may have.
package enum KeyPlace: Sendable, Hashable {
  case file, server, address, serverTLS, certificate
  case limits, perAddress, ping, sessionLimits, streamLimits
  case compression, shutdown, logging
  case channelLayer, redisHost, sentinelOptions
  /// The `config` of a layer with this back end.
  case config(ChannelLayerConfiguration.BackendName)
  case authenticator, jwt, tokenSource, callback, upstreamTLS
  case application, webSocketRoutes, httpRoutes, webSocketRoute, httpRoute
  case proxy, publish, eventStream, history, files, response, redirect
  case secret, app, preset

  /// What it is in a sentence: "unknown key … in a channel layer".
  var what: String { facts.what }

  /// What stands before the name of one of its keys: `limits.per_ip.`.
  package var path: String { facts.path }

  /// What it is, for a reader who looks for a place to write a key.
  package var home: String { facts.home ?? String(path.dropLast()) }

  /// What follows "belongs" in the hint for whoever writes one of its keys elsewhere; nil if its keys are words that are as likely
  /// meant for something else, such as `port`.
  var belonging: String? {
    facts.areKeysOrdinary ? nil : self == .file ? "at \(home)" : "under \(home)"
  }

  /// Sets of keys of which a mapping has exactly one; empty if it has no such choice.
  var alternatives: [[String]] { isRoute ? Key.actions(at: self).map { [$0] } : facts.oneOf }

  var isRoute: Bool { self == .webSocketRoute || self == .httpRoute }

  /// Whether its keys are those of channels_redis and redis-py.
  var isOfDjango: Bool {
    if case .config = self { true } else { self == .redisHost }
  }

  /// Its name in a schema.
  var name: String {
    if case .config(let backend) = self { "\(backend)Config" } else { "\(self)" }
  }

  /// Every kind of mapping.
  static let all: [KeyPlace] = {
    let configs = ChannelLayerConfiguration.BackendName.allCases.map(KeyPlace.config)
    return (Key.all.flatMap(\.places) + configs).unique
  }()

  private struct Facts {
    var what: String
    var path: String
    var home: String?
    var areKeysOrdinary = false
    var oneOf: [[String]] = []
  }

  private var facts: Facts {
    let config = "channel_layers.ALIAS.config"
    return switch self {
    case .file: Facts(what: "the file", path: "", home: "the top level")
    case .server: Facts(what: "\"server\"", path: "server.")
    case .address:
      Facts(what: "an address of \"bind\"", path: "server.bind[].", home: "an address of server.bind")
    case .serverTLS:
      Facts(what: "\"tls\"", path: "server.tls.", oneOf: [["certificates"], ["certificate", "key"]])
    case .certificate:
      Facts(
        what: "a certificate", path: "server.tls.certificates[].", home: "an entry of server.tls.certificates"
      )
    case .limits: Facts(what: "\"limits\"", path: "limits.")
    case .sessionLimits: Facts(what: "\"limits\"", path: "limits.", home: "limits of a websocket route")
    case .streamLimits: Facts(what: "\"limits\"", path: "limits.", home: "limits of an http route")
    case .perAddress: Facts(what: "\"per_ip\"", path: "limits.per_ip.")
    case .ping: Facts(what: "\"ping\"", path: "limits.ping.")
    case .compression: Facts(what: "\"compression\"", path: "compression.")
    case .shutdown: Facts(what: "\"shutdown\"", path: "shutdown.")
    case .logging: Facts(what: "\"logging\"", path: "logging.")
    case .channelLayer: Facts(what: "a channel layer", path: "channel_layers.ALIAS.")
    case .config(let backend): Facts(what: "the config of a \(backend.rawValue) layer", path: "\(config).")
    case .redisHost:
      Facts(
        what: "a host", path: "\(config).hosts[].", home: "an entry of \(config).hosts",
        areKeysOrdinary: true,
        oneOf: [["address"], ["host"], ["master_name", "sentinels"]])
    case .sentinelOptions:
      Facts(
        what: "\"sentinel_kwargs\"", path: "\(config).hosts[].sentinel_kwargs.",
        home: "sentinel_kwargs of a Redis host",
        areKeysOrdinary: true)
    case .authenticator: Facts(what: "an authenticator", path: "auth.NAME.", oneOf: [["jwt"], ["callback"]])
    case .jwt: Facts(what: "\"jwt\"", path: "auth.NAME.jwt.", oneOf: [["secret"], ["public_key"], ["jwks"]])
    case .tokenSource:
      Facts(
        what: "an entry of \"from\"", path: "auth.NAME.jwt.from[].", home: "an entry of auth.NAME.jwt.from",
        areKeysOrdinary: true, oneOf: [["cookie"], ["query"]])
    case .callback: Facts(what: "\"callback\"", path: "auth.NAME.callback.", areKeysOrdinary: true)
    case .upstreamTLS: Facts(what: "\"tls\"", path: "tls.", home: "tls of a proxy", areKeysOrdinary: true)
    case .application: Facts(what: "an application", path: "applications.NAME.")
    case .webSocketRoutes:
      Facts(what: "\"websocket\"", path: "websocket.", home: "applications.NAME.websocket")
    case .httpRoutes: Facts(what: "\"http\"", path: "http.", home: "applications.NAME.http")
    case .webSocketRoute: Facts(what: "a websocket route", path: "routes[].", home: "a websocket route")
    case .httpRoute: Facts(what: "an http route", path: "routes[].", home: "an http route")
    case .proxy: Facts(what: "\"proxy\"", path: "proxy.", home: "proxy of an http route")
    case .publish: Facts(what: "\"publish\"", path: "publish.", home: "publish of an http route")
    case .eventStream: Facts(what: "\"events\"", path: "events.", home: "events of an http route")
    case .history: Facts(what: "\"history\"", path: "history.")
    case .files: Facts(what: "\"static\"", path: "static.", home: "static of an http route")
    case .response:
      Facts(what: "\"respond\"", path: "respond.", home: "respond of an http route", areKeysOrdinary: true)
    case .redirect:
      Facts(what: "\"redirect\"", path: "redirect.", home: "redirect of an http route", areKeysOrdinary: true)
    case .secret:
      Facts(
        what: "a secret", path: "SECRET.", home: "a secret", areKeysOrdinary: true,
        oneOf: [["env"], ["file"]])
    case .app: Facts(what: "an app", path: "", home: "the app.yaml of a local app")
    case .preset:
      Facts(
        what: "a consumer preset", path: "consumers.NAME.", home: "a preset under consumers of an app.yaml")
    }
  }
}
