extension Key {
  private static let anyView = ViewConfiguration(
    question: QuestionConfiguration(url: upstream, headers: []))
  private static let home = "under a route with consumer: view"

  /// An option that only `consumer: view` has.
  private static func ofView(
    _ name: String, _ value: KeyValue, standard: String = "", home: String? = home, _ meaning: String
  ) -> Key {
    Key(
      name, [.webSocketRoute, .preset], value, needs: ["consumer"], of: [.view], standard: standard,
      home: home, meaning)
  }

  /// The options of `consumer: view`.
  static let view = [
    Key(
      "url", [.webSocketRoute, .preset], .word, required: [.webSocketRoute], needs: ["consumer"], of: [.view],
      """
      The view that is asked, with POST: an `http://` or `https://` URL, or `unix:/run/app.sock:/ws/`. `{room}` in its path or its query \
      is what the route captures, percent-encoded as one segment; `<path:rest>` may be several.
      """),
    ofView(
      "secret", .oneOrMore(.secret), standard: "required, unless `unsigned: true`", home: nil,
      """
      What signs each question: at least \(ViewConfiguration.shortestSecret) bytes. A list while it is changed: a question has a \
      signature for each, and the view accepts any that it knows.
      """),
    ofView(
      "unsigned", .truth, standard: "`false`",
      """
      `true`: questions have no signature, and `secret` is left out. Only with a Unix socket, which no client reaches.
      """),
    ofView(
      "on", .list(.choice(of: ViewConfiguration.Event.self), atLeast: 1),
      standard: "`[connect, receive]`; all three with `protocol: websocket-over-http`",
      """
      What the view is asked about. `connect` decides who gets in, `receive` brings messages, and `disconnect` says who has gone.
      """),
    ofView(
      "alive", .time(from: .seconds(10), to: .seconds(86400)), standard: "never",
      """
      How often the view is told the addresses of all sessions, so that rows in a database can expire.
      """),
    ofView(
      "headers", .list(.word), standard: "`[]`", home: nil,
      """
      The fields of the client's request that go with `connect`, as for a callback: `[Cookie]`. Later questions carry the user instead.
      """),
    ofView(
      "timeout", .time(from: .milliseconds(10), to: .seconds(300)), standard: shown(anyView.question.timeout),
      home: nil,
      "The time for the whole answer. `connect` never takes longer than `limits.handshake`."),
    ofView(
      "idle_timeout", upstreamTime, standard: shown(upstream.idleTimeout), home: nil,
      """
      How long a connection to the view is kept without a question. It must be shorter than the server's own keep-alive time, so that \
      the server is not the first to close it.
      """),
    ofView(
      "batch", .integer(from: 1, to: 100), standard: shown(anyView.batch),
      """
      The most messages of a session in one question. While one is asked about, the next ones wait, and go together.
      """),
    ofView(
      "order", .choice(of: ViewConfiguration.Order.self), standard: shown(anyView.order.rawValue),
      """
      `session`: one question under way for each session, so that its messages are handled in their order. `none`: messages of one \
      session may overtake each other, so that a slow call does not hold up the next.
      """),
    ofView(
      "in_flight", .integer(from: 1, to: 1024), standard: shown(anyView.inFlight),
      """
      The most questions under way for the route, in the whole process. More than the view's server has workers (`gunicorn --workers`, \
      times `--threads`) only wait there.
      """),
    ofView(
      "on_failure", .choice(of: ViewConfiguration.OnFailure.self),
      standard: shown(anyView.onFailure.rawValue),
      """
      What becomes of a session whose messages the view did not answer. `wait`: it is not read, and the question is sent again for 30 s, \
      then it is closed with 1013. `reply`: it gets `{"error": ...}`, and goes on. `close`: it is closed with 1011.
      """),
    ofView(
      "retry", .truth, standard: "`false`", home: nil,
      """
      `true`: messages that the view may have handled already are sent again, with the same `id`. For views that know an `id` again, or \
      where handling a message twice does no harm.
      """),
    ofView(
      "protocol", .choice(of: ViewConfiguration.Wire.self), standard: shown(anyView.wire.rawValue), home: nil,
      """
      How questions are written: `json`, or `websocket-over-http` as pushpin and Fastly Fanout write them (`application/websocket-events`). \
      See [from pushpin or Fanout](grip.md).
      """),
  ]
}
