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
  var what: String {
    switch self {
    case .file: "the file"
    case .server: "\"server\""
    case .address: "an address of \"bind\""
    case .serverTLS, .upstreamTLS: "\"tls\""
    case .certificate: "a certificate"
    case .limits, .sessionLimits, .streamLimits: "\"limits\""
    case .perAddress: "\"per_ip\""
    case .ping: "\"ping\""
    case .compression: "\"compression\""
    case .shutdown: "\"shutdown\""
    case .logging: "\"logging\""
    case .channelLayer: "a channel layer"
    case .config(let backend): "the config of a \(backend.rawValue) layer"
    case .redisHost: "a host"
    case .sentinelOptions: "\"sentinel_kwargs\""
    case .authenticator: "an authenticator"
    case .jwt: "\"jwt\""
    case .tokenSource: "an entry of \"from\""
    case .callback: "\"callback\""
    case .application: "an application"
    case .webSocketRoutes: "\"websocket\""
    case .httpRoutes: "\"http\""
    case .webSocketRoute: "a websocket route"
    case .httpRoute: "an http route"
    case .proxy: "\"proxy\""
    case .publish: "\"publish\""
    case .eventStream: "\"events\""
    case .history: "\"history\""
    case .files: "\"static\""
    case .response: "\"respond\""
    case .redirect: "\"redirect\""
    case .secret: "a secret"
    case .app: "an app"
    case .preset: "a consumer preset"
    }
  }

  /// What stands before the name of one of its keys: `limits.per_ip.`.
  package var path: String {
    switch self {
    case .file: ""
    case .server: "server."
    case .address: "server.bind[]."
    case .serverTLS: "server.tls."
    case .certificate: "server.tls.certificates[]."
    case .limits, .sessionLimits, .streamLimits: "limits."
    case .perAddress: "limits.per_ip."
    case .ping: "limits.ping."
    case .compression: "compression."
    case .shutdown: "shutdown."
    case .logging: "logging."
    case .channelLayer: "channel_layers.ALIAS."
    case .config: "channel_layers.ALIAS.config."
    case .redisHost: "channel_layers.ALIAS.config.hosts[]."
    case .sentinelOptions: "channel_layers.ALIAS.config.hosts[].sentinel_kwargs."
    case .authenticator: "auth.NAME."
    case .jwt: "auth.NAME.jwt."
    case .tokenSource: "auth.NAME.jwt.from[]."
    case .callback: "auth.NAME.callback."
    case .upstreamTLS: "tls."
    case .application: "applications.NAME."
    case .webSocketRoutes: "websocket."
    case .httpRoutes: "http."
    case .webSocketRoute, .httpRoute: "routes[]."
    case .proxy: "proxy."
    case .publish: "publish."
    case .eventStream: "events."
    case .history: "history."
    case .files: "static."
    case .response: "respond."
    case .redirect: "redirect."
    case .secret: "SECRET."
    case .app: ""
    case .preset: "consumers.NAME."
    }
  }

  /// What it is, for a reader who looks for a place to write a key.
  package var home: String {
    switch self {
    case .file: "the top level"
    case .address: "an address of server.bind"
    case .certificate: "an entry of server.tls.certificates"
    case .sessionLimits: "limits of a websocket route"
    case .streamLimits: "limits of an http route"
    case .config: "channel_layers.ALIAS.config"
    case .redisHost: "an entry of channel_layers.ALIAS.config.hosts"
    case .sentinelOptions: "sentinel_kwargs of a Redis host"
    case .tokenSource: "an entry of auth.NAME.jwt.from"
    case .upstreamTLS: "tls of a proxy"
    case .webSocketRoutes: "applications.NAME.websocket"
    case .httpRoutes: "applications.NAME.http"
    case .webSocketRoute: "a websocket route"
    case .httpRoute: "an http route"
    case .proxy, .publish, .files, .response, .redirect: "\(path.dropLast()) of an http route"
    case .eventStream: "events of an http route"
    case .secret: "a secret"
    case .app: "the app.yaml of a local app"
    case .preset: "a preset under consumers of an app.yaml"
    case .server, .serverTLS, .limits, .perAddress, .ping, .compression, .shutdown, .logging, .channelLayer,
      .authenticator, .jwt, .callback, .application, .history:
      String(path.dropLast())
    }
  }
}

extension KeyPlace {
  /// What follows "belongs" in the hint for whoever writes one of its keys elsewhere; nil if its keys are words that are as likely
  /// meant for something else, such as `port`.
  var belonging: String? {
    switch self {
    case .file: "at \(home)"
    case .redisHost, .sentinelOptions, .secret, .tokenSource, .upstreamTLS, .callback, .response, .redirect:
      nil
    case .server, .address, .serverTLS, .certificate, .limits, .perAddress, .ping, .sessionLimits,
      .streamLimits,
      .compression, .shutdown, .logging, .channelLayer, .config,
      .authenticator, .jwt, .application, .webSocketRoutes, .httpRoutes, .webSocketRoute, .httpRoute, .proxy,
      .publish, .eventStream, .history, .files, .app, .preset:
      "under \(home)"
    }
  }

  /// Sets of keys of which a mapping has exactly one; empty if it has no such choice.
  var alternatives: [[String]] {
    switch self {
    case .webSocketRoute, .httpRoute: Key.actions(at: self).map { [$0] }
    case .serverTLS: [["certificates"], ["certificate", "key"]]
    case .authenticator: [["jwt"], ["callback"]]
    case .jwt: [["secret"], ["public_key"], ["jwks"]]
    case .tokenSource: [["cookie"], ["query"]]
    case .secret: [["env"], ["file"]]
    case .redisHost: [["address"], ["host"], ["master_name", "sentinels"]]
    case .file, .server, .address, .certificate, .limits, .perAddress, .ping, .sessionLimits, .streamLimits,
      .compression, .shutdown, .logging, .channelLayer, .config,
      .sentinelOptions, .callback, .upstreamTLS, .application, .webSocketRoutes, .httpRoutes, .proxy,
      .publish,
      .eventStream, .history, .files, .response, .redirect, .app, .preset:
      []
    }
  }

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
    var seen: Set<KeyPlace> = []
    return (Key.all.flatMap(\.places) + configs).filter { seen.insert($0).inserted }
  }()
}
