extension Key {
  /// Any one, for what it has where the file says nothing.
  static let upstream = UpstreamConfiguration(scheme: .http, host: "", port: 80)
  private static let compression = CompressionConfiguration()
  private static let bothRoutes = [KeyPlace.webSocketRoute, .httpRoute]
  private static let aroundAndAtRoutes = [KeyPlace.webSocketRoute, .httpRoute, .webSocketRoutes, .httpRoutes]
  private static let events = KeyValue.named(.json)
  private static let groups = KeyValue.oneOrMore(.word)
  private static let ofGroups: [ConsumerType] = [.chat, .broadcast, .view]
  private static let webSocketOptions = [KeyPlace.webSocketRoute, .preset]
  static let upstreamTime = KeyValue.time(from: .milliseconds(10), to: .seconds(86400))

  private static let allowedHosts = """
    The origins that may connect, by Django's rules. Without it, the page must come from this server, and clients without an `Origin` \
    are admitted. With it, WebSocket clients without an `Origin` are refused, unless the list is `["*"]`. For HTTP it applies to \
    `events` and `publish`, and restricts browsers only: a program that sends no `Origin` needs nothing.
    """
  private static let streamLimits =
    "`send_queue` for the event streams of the route, as in [limits](#limits)."
  private static let fromView = """
    The groups that the answer of a `callback` may name in `groups`, and what a view may join and publish to (`consumer: view`): \
    `[drivers, "room_<int:id>"]`, with path converters and `*`. A client whose callback names another one gets 503. See [Groups that a \
    view names](groups.md#groups-that-a-view-names).
    """
  private static let shared =
    "`true`: the groups of this route may be shared with clients who have other rights. See [Groups](groups.md)."

  /// What routes of both protocols have.
  static let routes = [
    Key(
      "path", bothRoutes, .text, home: "under a route",
      "Django's path syntax: `<int:id>`, `<str:x>`, `<slug:room>`, `<uuid:id>`, `<path:rest>`."),
    Key(
      "re_path", bothRoutes, .text, home: "under a route",
      """
      Django's regular expressions. `\\w`, `\\d` and `\\s` are ASCII. What an automaton cannot decide is an error: look-around, \
      back-references, `\\b`, flags for a part, possessive repetition, and, beside captures, an unbounded repetition of something that may \
      be empty, such as `(?P<x>a*)*`.
      """),
    Key(
      "name", bothRoutes, .word, home: "under a route",
      "The name that logs, `routes` and `explain` use for the route."),
    Key(
      "routes", [.webSocketRoute, .webSocketRoutes], .list(.mapping(.webSocketRoute)),
      required: [.webSocketRoutes], isAction: true, home: "under a route", "Nested routes behind this path."),
    Key(
      "routes", [.httpRoute, .httpRoutes], .list(.mapping(.httpRoute)), required: [.httpRoutes],
      isAction: true, "Nested routes behind this path."),
    Key(
      "include", bothRoutes, .word, isAction: true, home: "under a route",
      "A file with routes, or an installed local app, behind this path."),
    Key(
      "auth", aroundAndAtRoutes, .word,
      "The name of an authenticator, or `none`. It may also stand at a protocol, for all its routes."),
    Key(
      "require", aroundAndAtRoutes, .named(.json),
      """
      With `auth`: the claims that a client must have, `{role: [admin, staff]}` for one of two values, and `{rooms: "{room}"}` for what \
      the path captured. `any:` and `all:` hold a list of such mappings. A route that names another authenticator than the one around it \
      must state its own requirements.
      """),
    Key(
      "auth_optional", aroundAndAtRoutes, .truth, standard: "`false`",
      "With `auth`: `true` admits clients without a token as anonymous."),
    Key(
      "permission", aroundAndAtRoutes, .either([.mapping(.permission), .only("none")]),
      """
      With `auth`: a view that is asked whether the client may use the path, once it is known who the client is. \
      See [keys of permission](#keys-of-permission). `none` takes back one that stands around the route.
      """),
    Key(
      "allowed_hosts", [.webSocketRoute, .webSocketRoutes, .httpRoutes], .list(.word, atLeast: 1),
      home: "under a route, or around routes", allowedHosts),
    Key(
      "allowed_hosts", [.httpRoute], .list(.word, atLeast: 1),
      needs: ["events", "publish", "routes", "include"], allowedHosts),
    Key(
      "limits", [.webSocketRoute, .webSocketRoutes], .mapping(.sessionLimits),
      "`message`, `send_queue` and `ping` for the sessions of the route, as in [limits](#limits)."),
    Key(
      "limits", [.httpRoute], .mapping(.streamLimits), needs: ["events", "routes", "include"], streamLimits),
    Key("limits", [.httpRoutes], .mapping(.streamLimits), streamLimits),
    Key(
      "shared", [.webSocketRoute], .truth, needs: ["consumer"], standard: "`false`", home: "under a route",
      shared),
    Key(
      "shared", [.httpRoute], .truth,
      needs: ["static", "proxy", "publish", "events", "respond", "redirect", "health"], standard: "`false`",
      shared),
  ]

  /// `consumer`, and its options.
  static let options = [
    Key(
      "consumer", webSocketOptions, .word, required: [.preset], isAction: true,
      "\(ConsumerType.names.joined(separator: ", ")), or `APP.PRESET` of a local app. See [consumers](#consumers)."
    ),
    Key(
      "group", webSocketOptions, groups, required: [.webSocketRoute], needs: ["consumer"], of: ofGroups,
      """
      The group: `chat_{room}`, or a list. What a client sends goes to the first. `view` needs none.
      """
    ).sparing(.view),
    Key(
      "subscribe", webSocketOptions, groups, needs: ["consumer"], of: ofGroups,
      "Patterns of the groups that a client may join as well: `[ticker_*]`."),
    Key(
      "groups_from_view", webSocketOptions, groups, needs: ["consumer"], of: ofGroups, standard: "none",
      fromView),
    Key(
      RouteOption.presence, .truth, of: [.chat], home: "under a websocket route with consumer: chat",
      "`true` tells clients who is in the room. See [Presence](presence.md)."),
    Key(
      "history", webSocketOptions, .mapping(.history), needs: ["consumer"], of: ofGroups,
      standard: "nothing is kept", home: "under a websocket route, or in events of an http route",
      """
      What the group keeps for clients that come later or come back. See [keys of history](#keys-of-history).
      """),
    Key(
      RouteOption.identity, .truth, of: [.chat],
      "`true` adds the sender's name to what others see: `{\"message\": X, \"user\": \"5\"}`."),
    Key(
      RouteOption.envelope, .truth, of: ofGroups,
      """
      `true` says in each frame which group it came from: `{\"group\": \"room_7\", \"message\": X}`. For clients that are in several groups. \
      What is no JSON object becomes `{\"group\": ..., \"text\": ...}`, `bytes` in base64, or `event`.
      """),
    Key(
      "events", webSocketOptions, events, needs: ["consumer"], of: ofGroups,
      "Event type → JSON with `\"{field}\"` places, or `event` for the whole event."),
    Key(
      "publish", webSocketOptions, .choice(of: ConsumerConfiguration.PublishPolicy.self), needs: ["consumer"],
      of: [.broadcast], standard: "`everyone`",
      """
      Who may send: `authenticated` are the clients with an identity. Other clients that send get `{"error": ...}`.
      """),
    Key(
      "channel_layer", webSocketOptions, .word, needs: ["consumer"], of: ofGroups, standard: "`default`",
      home: "under a websocket route", "The alias of the layer that the group is in."),
    Key(
      "to", webSocketOptions, .word, required: [.webSocketRoute], needs: ["consumer"], of: [.proxy],
      home: "under a route with consumer: proxy",
      "The server that answers, a `ws://`, `wss://` or `unix:` URL. See [keys of proxies](#keys-of-proxies)."),
    Key(
      "host", webSocketOptions, .choice(of: UpstreamConfiguration.HostHeader.self), needs: ["consumer"],
      of: [.proxy, .view], standard: "`keep`", "As for a [proxy](#keys-of-proxies)."),
    Key(
      RouteOption.connectTimeout, upstreamTime, of: [.proxy, .view], "As for a [proxy](#keys-of-proxies)."),
    Key(
      "tls", webSocketOptions, .mapping(.upstreamTLS), needs: ["consumer"], of: [.proxy, .view],
      standard: "the system's authorities", "As for a [proxy](#keys-of-proxies)."),
    Key(
      "subprotocols", [.webSocketRoute], .list(.word), needs: ["consumer"],
      of: ConsumerType.allCases.filter { $0 != .proxy },
      """
      The subprotocols that the route speaks. Of those that a client offers, the first in this order is chosen; with `proxy`, the \
      upstream chooses.
      """),
  ]

  /// What answers on an HTTP route; in the order in which findings name them.
  static let actions = [
    Key(
      "static", [.httpRoute], .either([.word, .mapping(.files)]), isAction: true,
      "The files of a folder, or `{folder: dist, fallback: index.html}`. See [Files](http.md#files)."),
    Key(
      "proxy", [.httpRoute], .either([.word, .mapping(.proxy)]), isAction: true,
      """
      An upstream that answers for this path and everything below it. See [keys of proxies](#keys-of-proxies).
      """),
    Key(
      "publish", [.httpRoute], .mapping(.publish), isAction: true,
      "A publish API for programs and users. See [keys of publish](#keys-of-publish)."),
    Key(
      "events", [.httpRoute], .either([groups, .mapping(.eventStream)]), isAction: true,
      """
      A group or a list of groups whose events are sent as a stream, or a mapping. See [keys of events](#keys-of-events).
      """),
    Key(
      "respond", [.httpRoute], .either([.text, .mapping(.response)]), isAction: true,
      "A text, or `{status, body, headers}`, or `{status, json, headers}`."),
    Key(
      "redirect", [.httpRoute], .either([.word, .mapping(.redirect)]), isAction: true,
      "A target with `{capture}` places, or `{to, status}`."),
    Key(
      "health", [.httpRoute], .choice(of: HealthProbe.self), isAction: true,
      """
      `live`, or `ready`, which answers 503 while a channel layer is away. While the gateway stops, the connection of a probe is refused.
      """),
  ]

  /// The settings that have mappings of their own at a route.
  static let settings = [
    Key(
      "messages", [.history], .integer(from: 1, to: 100_000), required: [.history], standard: "required",
      home: "under history",
      "The most events that are kept."),
    Key(
      "seconds", [.history],
      .either([.time(from: .seconds(1), to: .seconds(2_592_000)), .integer(from: 1, to: 2_592_000)]),
      standard: shown(HistoryConfiguration(messages: 1).age),
      "The longest that an event is kept: a number of seconds (`300`) or a time (`5m`)."),
    Key(
      "group", [.eventStream], groups, required: [.eventStream], standard: "required",
      "A group, or a list of groups."),
    Key(
      "channel_layer", [.eventStream], .word, standard: "`default`",
      "The alias of the layer that the groups are in."),
    Key(
      "groups_from_view", [.eventStream], groups, standard: "none",
      "The groups that the answer of a `callback` may name, as for WebSocket [routes](#routes)."),
    Key(
      "templates", [.eventStream], events,
      "Event type → JSON with `\"{field}\"` places, or `event` for the whole event."),
    Key(
      "heartbeat", [.eventStream], .time(from: .seconds(1), to: .seconds(3600)), standard: "`15s`",
      "A comment is sent after this long without anything else."),
    Key(
      "retry", [.eventStream], .time(from: .milliseconds(100), to: .seconds(3600)), standard: "`2s`",
      "How long browsers wait before they reconnect."),
    Key(
      "history", [.eventStream], .mapping(.history), standard: "what other routes say about the group",
      "As for WebSocket [routes](#routes)."),
    Key(
      "groups", [.publish], groups, required: [.publish], standard: "required",
      """
      One pattern, or a list: the groups that a request may name. `{capture}` is a capture of the path, and `*` is any text.
      """),
    Key(
      "token", [.publish], .oneOrMore(.secret),
      """
      A secret of at least 16 characters, or a list of secrets. With a list, a new secret can be given out before the old one is \
      withdrawn.
      """),
    Key(
      "protocol", [.publish], .choice(of: PublishConfiguration.Wire.self), standard: "`json`",
      """
      How requests are written: `json`, or `grip` for back ends that publish with `django-grip` or `gripcontrol`, as to pushpin. \
      See [from pushpin or Fanout](grip.md).
      """),
    Key(
      "secret", [.publish], .oneOrMore(.secret),
      """
      With `protocol: grip`: the `key` of the back end's `GRIP_URL`, at least 16 bytes, with which it signs its tokens (JWT, HS256). A list \
      while it is changed. Where that URL has no `iss`, the back end sends the key itself: write it as `token`.
      """),
    Key(
      "anonymous", [.publish], .truth, standard: "`false`",
      """
      `true`: no token is needed, except for `disconnect`. A route without `anonymous`, `token`, and `auth: NAME` beside `publish` is an \
      error.
      """),
    Key(
      "allow", [.publish], .list(.choice(of: PublishConfiguration.Operation.self), atLeast: 1),
      standard: "`[publish]`",
      """
      The operations that are allowed: `publish`, `disconnect`, `mute`, `join`, `leave`, `groups`, `presence`, `history`, `events`. With `events`, users of `auth` \
      may publish whole events; programs with the `token` of the route always may. See [users who publish](publish.md#users-who-publish).
      """),
    Key(
      "body", [.publish], .size(from: .kibibytes(1), to: .mebibytes(64)),
      standard: shown(PublishConfiguration(groups: []).body),
      "The largest body. It has to arrive within `limits.handshake`."),
    Key(
      "channel_layer", [.publish], .word, standard: "`default`", "The layer that the groups are in."),
    Key(
      "to", [.proxy], .word, required: [.proxy], standard: "required",
      """
      The upstream: `http://` or `https://` (`ws://` or `wss://` for `consumer: proxy`). `http://127.0.0.1:8001` passes on path and query \
      as they came. `unix:/run/app.sock` is a server behind a Unix socket, with a path behind a second colon: \
      `unix:/run/app.sock:/api/{version}/`. `http://host/path/{capture}/` builds a new path; the rest of the client's path (HTTP) and \
      the query follow it.
      """),
    Key(
      "host", [.proxy, .callback, .permission], .choice(of: UpstreamConfiguration.HostHeader.self),
      standard: "`keep`",
      "The `Host` that the upstream sees: `keep` is the client's."),
    Key(
      "connect_timeout", [.proxy], upstreamTime, standard: shown(upstream.connectTimeout),
      "The time for a connection to the upstream."),
    Key(
      "read_timeout", [.proxy], upstreamTime, standard: shown(upstream.readTimeout),
      "The longest silence of the upstream (HTTP)."),
    Key(
      "idle_timeout", [.proxy, .callback, .permission], upstreamTime, standard: shown(upstream.idleTimeout),
      home: "under proxy or auth.NAME.callback",
      """
      How long a connection to the upstream is kept without a request (HTTP). It must be shorter than the upstream's own keep-alive time \
      (gunicorn 2 s, uvicorn and Node 5 s), so that the upstream is not the first to close it.
      """),
    Key(
      "body", [.proxy], .size(from: ByteCount(bytes: 1), to: .mebibytes(1_048_576)),
      standard: shown(upstream.body), "The largest body of a request (HTTP)."),
    Key(
      "tls", [.proxy, .jwt, .callback, .permission], .mapping(.upstreamTLS),
      standard: "the system's authorities",
      """
      For `https://` and `wss://`: `{ca: FILE}` trusts the authorities in a file instead of the system's, and `{verify: false}` trusts \
      every certificate.
      """),
    Key("ca", [.upstreamTLS], .word, "A PEM file with the authorities to trust instead of the system's."),
    Key("verify", [.upstreamTLS], .truth, standard: "`true`", "`false` trusts every certificate."),
    Key(
      "folder", [.files], .word, required: [.files], standard: "required",
      "The folder whose files are served."),
    Key(
      "fallback", [.files], .word,
      "A file inside the folder that is served where there is none, by its path from there."),
    Key(
      "status", [.response], .integer(from: 200, to: 599), standard: "`200`",
      "The status of the response."),
    Key("headers", [.response], .named(.text), "The fields of the response."),
    Key("body", [.response], .text, "The body, as plain text."),
    Key("json", [.response], .json, "The body, as JSON; instead of `body`."),
    Key(
      "to", [.redirect], .word, required: [.redirect], standard: "required",
      "The target, a path or a URL, with `{capture}` places."),
    Key(
      "status", [.redirect], .integer(from: 300, to: 308), standard: "`302`",
      "301, 302, 303, 307 or 308."),
    Key(
      "level", [.compression], .integer(from: 1, to: 9), standard: shown(compression.level),
      "1 is the fastest, 9 the smallest."),
    Key(
      "threshold", [.compression], .size(from: ByteCount(bytes: 1), to: .mebibytes(1024)),
      standard: shown(compression.threshold),
      "Shorter messages are sent uncompressed, and so are messages that compression does not shorten."),
    Key(
      "client_context_takeover", [.compression], .truth, standard: "`false`",
      """
      `true`: the messages of clients may refer to earlier ones, and no client is asked for `client_no_context_takeover`, which some \
      clients ignore. It costs 40 KiB for each session (`window: 15`), out of `limits.compression_memory`; a session for which there is \
      none left is not compressed. `context_takeover: true` also keeps the client's context, but falls back to the request when memory \
      runs out.
      """),
    Key(
      "context_takeover", [.compression], .truth, standard: "`false`",
      "`true`: a message may refer to earlier ones, which each session then has to keep."),
    Key(
      "window", [.compression], .integer(from: 9, to: 15), standard: shown(compression.windowBits),
      "How far back a message refers, as a power of two: 9 (512 bytes) to 15 (32 KiB)."),
    Key(
      "consumers", [.app], .named(.mapping(.preset)),
      "Presets: consumers with options, under names of the app. A route uses one as `consumer: APP.PRESET`, and its own options go first."
    ),
    Key(
      "websocket_urlpatterns", [.app], .list(.mapping(.webSocketRoute)),
      home: "under the app.yaml of a local app", "The WebSocket routes of the app, for `include`."),
    Key(
      "http_urlpatterns", [.app], .list(.mapping(.httpRoute)),
      home: "under the app.yaml of a local app", "The HTTP routes of the app, for `include`."),
  ]
}

// The options that are single values.

extension RouteOption<Bool> {
  /// Whether a client's messages name its user.
  package static let identity = RouteOption(
    name: "identity", standard: false, sentence: "messages name the user who sent them")
  /// Whether frames name the group that they came from.
  package static let envelope = RouteOption(
    name: "envelope", standard: false, sentence: "each frame names its group")
  /// Whether sessions receive the group's presence.
  package static let presence = RouteOption(
    name: "presence", standard: false, sentence: "clients see which users are present")
}

extension RouteOption<Duration> {
  static let connectTimeout = RouteOption(
    name: "connect_timeout", standard: Key.upstream.connectTimeout)
}
