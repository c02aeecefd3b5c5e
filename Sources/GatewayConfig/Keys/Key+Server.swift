extension Key {
  private static let addresses = KeyValue.oneOrMore(.either([.word, .mapping(.address)]))

  /// The keys of the file itself.
  static let topLevel = [
    Key(
      "installed_apps", [.file], .list(.word), required: [.file], standard: "required",
      """
      A list of the consumer apps that routes may use: the built-in \(ConsumerType.names.joined(last: "and")), and local apps. A local \
      app is a folder with an `app.yaml`; its name is written with a `/`.
      """),
    Key(
      "include", [.file], .oneOrMore(.word), standard: "none", home: "at the top level, or under a route",
      """
      A file, or a list of files, with more keys of the top level, such as `auth` and `limits`. Each key stands in one file. See \
      [Several files](configuration.md#one-configuration-in-several-files).
      """),
    Key(
      "asgi_application", [.file], .word, standard: "the only one",
      "The name of the application that is served."),
    Key(
      "channel_layers", [.file], .named(.mapping(.channelLayer)),
      standard: "`chat` and `broadcast` require the layer `default`",
      "The channel layers, each under its alias."),
    Key(
      "auth", [.file], .named(.mapping(.authenticator)), home: "at the top level, and its names at routes",
      "The authenticators, each under its name: a `jwt` or a `callback`. See [Authentication](authentication.md)."
    ),
    Key(
      "applications", [.file], .named(.mapping(.application)), required: [.file], standard: "required",
      "The applications, each under its name."),
    Key(
      "http", [.application], .either([.list(.mapping(.httpRoute)), .mapping(.httpRoutes)]),
      """
      A list of HTTP routes, or a mapping with `routes:` and settings for all of them: `auth`, `auth_optional`, `require`, \
      `allowed_hosts`, and `limits.send_queue` for routes with `events`.
      """),
    Key(
      "websocket", [.application], .either([.list(.mapping(.webSocketRoute)), .mapping(.webSocketRoutes)]),
      """
      A list of WebSocket routes, or a mapping with `routes:` and settings for all of them: `auth`, `auth_optional`, `require`, \
      `allowed_hosts`, `limits` and `compression`.
      """),
    Key("server", [.file], .mapping(.server), "Where and how the gateway listens."),
    Key(
      "limits", [.file], .mapping(.limits),
      home: "at the top level, under applications.NAME.websocket, or at a route",
      "What clients may use. See [limits](#limits)."),
    Key(
      "compression", [.file, .webSocketRoute, .webSocketRoutes], .either([.truth, .mapping(.compression)]),
      standard: "`false`", home: "under a websocket route, or at the top level",
      "`true`, `false`, or a mapping: permessage-deflate for clients that offer it. See [keys of compression](#keys-of-compression)."
    ),
    Key("shutdown", [.file], .mapping(.shutdown), "How sessions end when the gateway stops."),
    Key("logging", [.file], .mapping(.logging), "What the log tells, and how. See [Logs](operate.md#logs)."),
  ]

  static let server = [
    Key(
      "bind", [.server, .serverTLS], addresses,
      standard: "`127.0.0.1:8000`; the one of `server.tls`: `server.bind`",
      """
      Where the gateway listens: `host:port`, `"[v6]:port"`, `unix:PATH`, or a list of these. `serve --bind` overrides it. An address \
      may be a mapping, `{address, proxy_protocol, mode, group}`. Under `server.tls` it names the addresses that speak TLS.
      """),
    Key(
      "address", [.address, .admin], .word, required: [.address, .admin], standard: "required",
      "The address itself."),
    Key(
      "proxy_protocol", [.address], .truth, standard: "`false`",
      """
      `true`: every connection to this address begins with a header of the PROXY protocol, version 1 or 2, before TLS and before HTTP. \
      `X-Forwarded-*` and `Forwarded` are ignored on it. It may also stand under `server.tls.bind`. See [PROXY protocol](operate.md#proxy-protocol).
      """),
    Key(
      "mode", [.address], .form("[0-7]{3,4}", name: "octal digits in quotes"),
      standard:
        "what the umask of the process leaves, usually `0755`: only processes of the same user, and root, can connect",
      """
      The permissions of the file of a Unix socket: three or four octal digits in quotes, `"0660"`. See \
      [Unix sockets](operate.md#unix-sockets).
      """),
    Key(
      "group", [.address], .word, standard: "the group of the process", home: "under a websocket route",
      "The group of the file of a Unix socket, by name or number. The user of the process must be a member of it."
    ),
    Key(
      "trusted_proxies", [.server], .oneOrMore(.word), standard: "none",
      """
      The proxies whose word about a client is believed: IP addresses, networks (`10.0.0.0/8`), `unix` for everyone who connects to a \
      Unix socket, or a list of these. See [Who the client is](operate.md#who-the-client-is-behind-a-proxy).
      """),
    Key(
      "admin", [.server], .either([.truth, .word, .mapping(.admin)]),
      standard: "a Unix socket in the run-time directory, named after the file", home: "under server",
      """
      Where commands such as `sluice reload` reach the running gateway: `unix:PATH`, a loopback address with a token as a mapping, \
      `{address, token}`, or `false` for nowhere; `true` is as without the key. The file of the Unix socket has the mode 0600. A path is relative to the file that \
      names it. See [Commands for a running gateway](operate.md#commands-for-a-running-gateway).
      """),
    Key(
      "token", [.admin], .secret,
      "A secret of at least 16 characters, which commands have to know. A loopback address needs it."),
    Key(
      "tls", [.server], .mapping(.serverTLS), standard: "no TLS", home: "under server",
      "The certificates, and the addresses that speak TLS. See [keys of tls](#keys-of-tls)."),
    Key(
      "threads", [.server], .integer(from: 1, to: 256), standard: "one for each processor",
      "The number of reactor threads."),
    Key(
      "reuse_port", [.server], .truth, standard: "`false`",
      """
      `true`: other processes of this user may listen on the same TCP addresses at the same time, so that one can begin before the other \
      ends. Without it, `serve` fails if another process listens there. Unix sockets cannot be shared, and groups only over a layer in Redis. See \
      [Two processes on one port](operate.md#two-processes-on-one-port).
      """),
    Key(
      "refusals", [.server, .webSocketRoutes, .webSocketRoute], .choice(of: RefusalForm.self),
      standard: shown(ServerConfiguration().refusals.rawValue),
      home: "under a websocket route, around routes, or under server",
      """
      How WebSocket clients are refused. With `http`, the handshake is answered with a status, which browsers do not show to pages. With \
      `close`, it is accepted, and the connection is closed at once with 4400, 4401, 4403, 4404, 4429 or 4503. It may also stand at an \
      application's `websocket` and at a route. See [Refusals that a page can read](authentication.md#refusals-that-a-page-can-read).
      """),
    Key(
      "delay", [.shutdown], .time(from: .zero, to: .seconds(3600)),
      standard: shown(ShutdownConfiguration().delay),
      """
      How long Sluice goes on accepting and serving after it was told to stop, while `health: ready` answers 503, so that balancers send \
      new clients elsewhere first. `grace` begins behind it. A second signal ends it.
      """),
    Key(
      "grace", [.shutdown], .time(from: .zero, to: .seconds(3600)),
      standard: shown(ShutdownConfiguration().grace),
      "The time in which sessions are closed when the gateway stops."),
    Key(
      "code", [.shutdown], .integer(from: 1000, to: 4999), standard: shown(ShutdownConfiguration().code),
      "The close code of a stop: 1001, 1012, or 3000 to 4999."),
    Key(
      "back", [.shutdown], .either([.time(from: .zero, to: .seconds(3600)), .only("now")]),
      standard: "`1s`; `now` with `server.reuse_port`",
      """
      When clients find somebody who listens: so long after the end of this process, which is how long the next one takes to start; or \
      `now`, if other processes listen already, as behind a balancer. Clients are told when to come back: see \
      [When clients come back](operate.md#when-clients-come-back).
      """),
    Key(
      "level", [.logging], .choice(of: LoggingConfiguration.Level.self),
      standard: shown(LoggingConfiguration().level.rawValue), home: "under logging or compression",
      "The least level of a line that is written."),
    Key(
      "format", [.logging], .choice(of: LoggingConfiguration.Format.self),
      standard: shown(LoggingConfiguration().format.rawValue), "How a line is written."),
    Key(
      "sessions", [.logging], .truth, standard: "`false`",
      """
      `true`: each session and event stream has a line at its start and one at its end, at the level `info`. See \
      [Logs](operate.md#logs).
      """),
    Key(
      "certificate", [.serverTLS, .certificate], .word, required: [.certificate], home: "under server.tls",
      "A PEM file with the certificate, and behind it those that lead to its authority."),
    Key(
      "key", [.serverTLS, .certificate], .secret, required: [.certificate],
      "The PEM file of its key, or a secret that holds what would stand in it."),
    Key(
      "passphrase", [.serverTLS, .certificate], .secret, "The passphrase of an encrypted key, as a secret."),
    Key(
      "names", [.serverTLS, .certificate], .list(.word), standard: "the names in the certificate",
      "The names that the certificate is shown for: `example.com`, `*.example.com`."),
    Key(
      "certificates", [.serverTLS], .list(.mapping(.certificate), atLeast: 1),
      """
      A list of these instead, each with `certificate`, `key`, `passphrase` and `names`. A client gets the certificate for the name it \
      asks for; an exact name goes before a wildcard, and otherwise the first certificate is used.
      """),
    Key(
      "minimum_version", [.serverTLS], .choice(of: ServerTLS.MinimumVersion.self), standard: "`1.2`",
      "The lowest version of TLS that clients may use."),
  ]
}
