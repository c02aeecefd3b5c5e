/// A kind of mapping in the configuration, by the keys that it may have.
package enum KeyPlace: Sendable, Hashable {
  case file, server, address, admin, serverTLS, certificate
  case limits, perAddress, perUser, ping, rate, sessionLimits, streamLimits
  case compression, shutdown, logging
  case channelLayer, redisHost, sentinelOptions
  /// The `config` of a layer with this back end.
  case config(ChannelLayerConfiguration.BackendName)
  case authenticator, jwt, tokenSource, callback, permission, userClaim, upstreamTLS
  case application, webSocketRoutes, httpRoutes, webSocketRoute, httpRoute
  case proxy, publish, eventStream, history, files, response, redirect
  case greeting, receive, receiveAction, delivery, recipient, closing
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
  var alternatives: [[String]] { isRoute ? Key.actions(at: self).map { [$0] } : facts.alternatives }

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
    var areKeysOrdinary: Bool
    var alternatives: [[String]]

    init(
      _ what: String, _ path: String, home: String? = nil, areKeysOrdinary: Bool = false,
      oneOf alternatives: [[String]] = []
    ) {
      self.what = what
      self.path = path
      self.home = home
      self.areKeysOrdinary = areKeysOrdinary
      self.alternatives = alternatives
    }
  }

  private var facts: Facts {
    let config = "channel_layers.ALIAS.config"
    return switch self {
    case .file: Facts("the file", "", home: "the top level")
    case .server: Facts("\"server\"", "server.")
    case .address: Facts("an address of \"bind\"", "server.bind[].", home: "an address of server.bind")
    case .admin: Facts("\"admin\"", "server.admin.")
    case .serverTLS: Facts("\"tls\"", "server.tls.", oneOf: [["certificates"], ["certificate", "key"]])
    case .certificate:
      Facts("a certificate", "server.tls.certificates[].", home: "an entry of server.tls.certificates")
    case .limits: Facts("\"limits\"", "limits.")
    case .sessionLimits: Facts("\"limits\"", "limits.", home: "limits of a websocket route")
    case .streamLimits: Facts("\"limits\"", "limits.", home: "limits of an http route")
    case .perAddress: Facts("\"per_ip\"", "limits.per_ip.")
    case .perUser: Facts("\"per_user\"", "limits.per_user.")
    case .ping: Facts("\"ping\"", "limits.ping.")
    case .rate: Facts("\"rate\"", "limits.rate.")
    case .compression: Facts("\"compression\"", "compression.")
    case .shutdown: Facts("\"shutdown\"", "shutdown.")
    case .logging: Facts("\"logging\"", "logging.")
    case .channelLayer: Facts("a channel layer", "channel_layers.ALIAS.")
    case .config(let backend): Facts("the config of a \(backend.rawValue) layer", "\(config).")
    case .redisHost:
      Facts(
        "a host", "\(config).hosts[].", home: "an entry of \(config).hosts", areKeysOrdinary: true,
        oneOf: [["address"], ["host"], ["master_name", "sentinels"]])
    case .sentinelOptions:
      Facts(
        "\"sentinel_kwargs\"", "\(config).hosts[].sentinel_kwargs.", home: "sentinel_kwargs of a Redis host",
        areKeysOrdinary: true)
    case .authenticator: Facts("an authenticator", "auth.NAME.", oneOf: [["jwt"], ["callback"]])
    case .jwt: Facts("\"jwt\"", "auth.NAME.jwt.", oneOf: [["secret"], ["public_key"], ["jwks"]])
    case .tokenSource:
      Facts(
        "an entry of \"from\"", "auth.NAME.jwt.from[].", home: "an entry of auth.NAME.jwt.from",
        areKeysOrdinary: true, oneOf: [["cookie"], ["query"]])
    case .callback: Facts("\"callback\"", "auth.NAME.callback.", areKeysOrdinary: true)
    case .permission:
      Facts("\"permission\"", "permission.", home: "permission of a route", areKeysOrdinary: true)
    case .userClaim:
      Facts("\"user\"", "auth.NAME.jwt.user.", home: "user of an authenticator", areKeysOrdinary: true)
    case .upstreamTLS: Facts("\"tls\"", "tls.", home: "tls of a proxy", areKeysOrdinary: true)
    case .application: Facts("an application", "applications.NAME.")
    case .webSocketRoutes: Facts("\"websocket\"", "websocket.", home: "applications.NAME.websocket")
    case .httpRoutes: Facts("\"http\"", "http.", home: "applications.NAME.http")
    case .webSocketRoute: Facts("a websocket route", "routes[].", home: "a websocket route")
    case .httpRoute: Facts("an http route", "routes[].", home: "an http route")
    case .proxy: Facts("\"proxy\"", "proxy.", home: "proxy of an http route")
    case .publish: Facts("\"publish\"", "publish.", home: "publish of an http route")
    case .eventStream: Facts("\"events\"", "events.", home: "events of an http route")
    case .history: Facts("\"history\"", "history.")
    case .greeting: Facts("\"connect\"", "connect.", home: "connect of a websocket route")
    case .receive: Facts("\"receive\"", "receive.", home: "receive of a websocket route")
    case .receiveAction:
      Facts(
        "a kind of message", "receive.kinds.KIND.", home: "a kind under receive.kinds", areKeysOrdinary: true)
    case .delivery:
      Facts("a rule of \"deliver\"", "deliver.TYPE.", home: "a type under deliver", areKeysOrdinary: true)
    case .recipient:
      Facts("\"to\"", "deliver.TYPE.to.", home: "to of a type under deliver", areKeysOrdinary: true)
    case .closing:
      Facts("\"close\"", "deliver.TYPE.close.", home: "close of a type under deliver", areKeysOrdinary: true)
    case .files: Facts("\"static\"", "static.", home: "static of an http route")
    case .response:
      Facts("\"respond\"", "respond.", home: "respond of an http route", areKeysOrdinary: true)
    case .redirect:
      Facts("\"redirect\"", "redirect.", home: "redirect of an http route", areKeysOrdinary: true)
    case .secret:
      Facts("a secret", "SECRET.", home: "a secret", areKeysOrdinary: true, oneOf: [["env"], ["file"]])
    case .app: Facts("an app", "", home: "the app.yaml of a local app")
    case .preset:
      Facts("a consumer preset", "consumers.NAME.", home: "a preset under consumers of an app.yaml")
    }
  }
}
