/// Knows names from the settings of other programs that users may write.
enum Habits {
  /// Possible keys for a name, the likeliest first. A suggestion is made if the mapping has such a key.
  static let keys: [String: [String]] = [
    // Django, Channels, and other routers.
    "websocket_urlpatterns": ["websocket"], "http_urlpatterns": ["http"],
    "urlpatterns": ["routes", "websocket"],
    "websockets": ["websocket"], "ws": ["websocket"], "urls": ["routes"], "children": ["routes"],
    "url": ["path", "to"], "pattern": ["path"], "location": ["path"], "uri": ["path"], "regex": ["re_path"],
    "handler": ["consumer"], "view": ["consumer"], "app": ["consumer", "include"], "type": ["consumer"],
    "room": ["group"], "rooms": ["group"], "groups": ["group"], "channel": ["group"], "topic": ["group"],
    "origins": ["allowed_hosts"], "allowed_origins": ["allowed_hosts"], "cors": ["allowed_hosts"],
    "authentication": ["auth"], "authenticator": ["auth"], "permissions": ["permission", "require"],
    "layer": ["channel_layer"], "layers": ["channel_layers"], "engine": ["backend"], "options": ["config"],
    "apps": ["installed_apps"], "application": ["asgi_application"], "protocols": ["subprotocols"],
    // nginx, HAProxy and the servers in front of Django.
    "listen": ["bind"], "proxy_pass": ["proxy", "to"], "upstream": ["to", "proxy"], "target": ["to"],
    "root": ["static"], "alias": ["static"], "return": ["respond"], "rewrite": ["redirect"],
    "worker_processes": ["threads"], "worker_connections": ["connections"],
    "max_connections": ["connections"], "gzip": ["compression"], "ssl": ["tls"],
    "ssl_certificate": ["certificate"],
    "ssl_certificate_key": ["key"], "cert": ["certificate"], "log_level": ["level"], "loglevel": ["level"],
    "max_message_size": ["message"], "max_size": ["message"], "heartbeat": ["ping"],
    "ping_interval": ["ping"],
    // Django REST framework's Simple JWT.
    "signing_key": ["secret"], "verifying_key": ["public_key"], "jwk_url": ["jwks"],
    "algorithm": ["algorithms"],
    "user_id_claim": ["user"],
    "keepalive": ["keep_alive", "idle_timeout", "ping"], "backlog": ["send_queue"],
  ]

  /// The same, by how the names are compared.
  private static let foldedKeys = Dictionary(
    keys.map { (NearestName.folded($0.key), $0.value) }, uniquingKeysWith: { first, _ in first })

  /// What to do instead, for names that stand for no single key.
  private static let hints: [String: String] = [
    "permission_classes":
      "use \"auth\" to require a token, \"require\" for the claims that the token needs, and \"permission\" to ask a view",
    "authentication_classes":
      "define an authenticator under \"auth\" at the top level, and name it in \"auth\" here",
    "rate": "write limits: {rate: 20/s burst 50}",
    "throttle": "write limits: {rate: 20/s burst 50}",
    "throttle_classes": "write limits: {rate: 20/s burst 50}",
    "middleware": "there is no middleware; see \"auth\", \"allowed_hosts\" and \"limits\"",
    "login_required": "write auth: NAME, the name of an authenticator under \"auth\" at the top level",
    "on_connect":
      "connect: {send: [...]} tells a client something first, and with consumer: view a view is asked about each client",
    "debug": "there is no debug mode; for more lines write logging: {level: debug}",
    "allowed_ips": "Sluice does not filter addresses; do it in front of Sluice",
  ]

  /// The same below "server", where nginx has the settings of TLS.
  static func serverHint(for name: String) -> String? {
    switch NearestName.folded(name) {
    case "sslcertificate", "sslcertificatekey", "sslcert", "sslkey":
      "write tls: {certificate: FILE, key: FILE}"
    case "servername", "servernames":
      "the routes are for every host; \"names\" of server.tls says which certificate is for which name"
    default: nil
    }
  }

  private static let foldedHints = Dictionary(
    hints.map { (NearestName.folded($0.key), $0.value) }, uniquingKeysWith: { first, _ in first })

  /// The key of a mapping that corresponds to a name from another program.
  static func key(for name: String, in known: Set<String>) -> String? {
    foldedKeys[NearestName.folded(name)]?.first(where: known.contains)
  }

  /// A hint for a name that no key stands for.
  static func hint(for name: String) -> String? { foldedHints[NearestName.folded(name)] }
}
