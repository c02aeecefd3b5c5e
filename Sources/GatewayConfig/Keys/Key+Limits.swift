extension Key {
  private static let process = ServerConfiguration()
  private static let session = SessionLimits()
  private static let memory = KeyValue.size(from: .mebibytes(1), to: .mebibytes(1_048_576))
  private static let rate = KeyValue.either([
    .form("[0-9]+/[smh]( +burst +[0-9]+)?", name: "a rate such as 20/s burst 100"), .only("none"),
  ])
  private static let pingTime = KeyValue.time(from: .seconds(1), to: .seconds(86400))

  static let limits = [
    Key(
      "connections", [.limits], .integer(from: 1, to: 1_000_000),
      standard: "what the limit on open files allows", home: "under limits",
      """
      The most connections of all kinds. Further ones are refused with 503, except health checks. If very many more come at once over \
      TLS, some of them are closed without an answer. If the limit on open files does not have room for this many, the number is \
      lowered at the start, with a warning. See [the limit on open files](operate.md#as-a-service).
      """),
    Key(
      "per_ip", [.limits], .either([.only("none"), .mapping(.perAddress)]),
      standard: "see `limits.per_ip.connections`",
      """
      What one address may have: `{connections: 100, handshakes: 20/s burst 100}`, or `none`. An address is an IPv4 address, or the /64 \
      network of an IPv6 address. It stands at the top level only. See \
      [a limit for one address](operate.md#a-limit-for-one-address).
      """),
    Key(
      "connections", [.perAddress], .either([.integer(from: 1, to: 1_000_000), .only("none")]),
      standard: "half of `limits.connections` for an address that is not of this machine",
      "The most sessions, event streams and HTTP connections of one address at the same time; a number, or `none`."
    ),
    Key(
      "handshakes", [.perAddress], rate, standard: "`none`",
      """
      How often one address may connect: a number for each second, minute or hour (`20/s`, `600/m`, `1000/h`), and how many may come at \
      once (`burst 100`; without it, as many as in one period); or `none`.
      """),
    Key(
      "handshakes", [.limits], rate, standard: "`none`",
      """
      How many sessions and event streams may begin, all clients together: `500/s`, or `500/s burst 1000`; or `none`. Further ones are \
      refused with 503, and each is told in `Retry-After` when its turn is. Plain HTTP and health checks do not count. It stands at the \
      top level only. See [When clients come back](operate.md#when-clients-come-back).
      """),
    Key(
      "handshake", [.limits], .time(from: .milliseconds(100), to: .seconds(300)),
      standard: shown(process.handshake),
      """
      The time for a complete request head, and for the TLS handshake before it. A later head is refused with 408.
      """),
    Key(
      "keep_alive", [.limits], .time(from: .milliseconds(100), to: .seconds(3600)),
      standard: shown(process.keepAlive),
      """
      How long an HTTP connection waits for its next request. Behind a load balancer it must be longer than the balancer's own idle \
      time. It stands at the top level only.
      """),
    Key(
      "message", [.limits, .sessionLimits], .size(from: ByteCount(bytes: 1), to: .mebibytes(1024)),
      standard: shown(session.message),
      "The largest message, all its fragments together. A larger one closes the session with 1009."),
    Key(
      "send_queue", [.limits, .sessionLimits, .streamLimits],
      .size(from: .kibibytes(1), to: .mebibytes(1024)),
      standard: shown(session.sendQueue),
      """
      The most bytes that may wait for one slow client. Beyond it a session is closed with 1013, and an event stream ends. A message \
      that goes into an empty queue is always accepted, however large it is.
      """),
    Key(
      "send_memory", [.limits], memory, standard: "a quarter of the process's memory",
      """
      The most bytes that may wait for all clients together. It includes files, and what a `proxy` has read from an upstream for clients \
      that have not taken it (up to 352 KiB for an answer; answers of up to 16 KiB are free). One eighth of it is kept for events that \
      wait for a reactor. See [Bounds](bounds.md).
      """),
    Key(
      "receive_memory", [.limits], memory, standard: "an eighth of the process's memory",
      """
      The most bytes of messages that clients have begun and not finished, all clients together, and of what was read from clients and \
      not handled yet. It should be at least twice the largest `message`. Up to half of it may be reserved by other threads, and a message that is larger \
      than the rest is never received.
      """),
    Key(
      "body_memory", [.limits], memory, standard: "an eighth of the process's memory",
      """
      The most bytes of bodies of publish requests, and of requests that HTTP clients sent ahead, all together.
      """),
    Key(
      "ping", [.limits, .sessionLimits], .either([pingTime, .only("none"), .mapping(.ping)]),
      standard: "`30s`",
      """
      A ping is sent after this much silence, and the session ends after as much again. `{interval, timeout}` sets the two apart; `none` \
      switches pings off. While Sluice itself does not read from a client or an upstream (because the other side of a proxied \
      connection is congested, because the client does not take its answers, because it sends faster than `limits.rate`, or because a \
      token is being checked), no ping times out; \
      the connection ends after 60 seconds without a sign of life at the level of TCP.
      """),
    Key(
      "rate", [.limits, .sessionLimits], .either([rate, .mapping(.rate)]), standard: "`none`",
      """
      How fast one session may send messages: `20/s burst 50` is 20 in each second, and 50 at once; or `none`. A client that sends faster \
      is not read for a while. `{messages: 20/s burst 50, over: reply}` says what happens instead. See \
      [a limit for one user](operate.md#a-limit-for-one-user-and-for-one-session).
      """),
    Key("messages", [.rate], rate, standard: "`none`", "The rate of the messages of one session; or `none`."),
    Key(
      "over", [.rate], .choice(of: MessageRate.Excess.self),
      standard: shown(session.rate.excess.rawValue),
      """
      What happens to a client that sends faster than this, or than `limits.per_user.messages`. `wait`: Sluice does not read from it for a \
      while, so that TCP makes it wait. `reply`: the message is not handled, and the client gets `{"error": ...}`. `close`: the session is \
      closed with 4429. For `consumer: proxy`, `reply` is an error.
      """),
    Key(
      "per_user", [.limits], .either([.only("none"), .mapping(.perUser)]), standard: "`none`",
      """
      What one user may do, all sessions in this process together: `{messages: 50/s burst 100, handshakes: 30/m}`, or `none`. It counts on \
      routes with `auth`, and not for anonymous clients. It stands at the top level only. See \
      [a limit for one user](operate.md#a-limit-for-one-user-and-for-one-session).
      """),
    Key(
      "messages", [.perUser], rate, standard: "`none`",
      "The rate of the messages of all sessions of one user; or `none`. `limits.rate.over` says what happens beyond it."
    ),
    Key(
      "handshakes", [.perUser], rate, standard: "`none`",
      """
      How often one user may begin a session or an event stream; or `none`. Beyond it, the client is refused with 429, or closed with 4429 \
      if it has shown its token in a message.
      """),
    Key("interval", [.ping], pingTime, standard: "`30s`", "The silence after which a ping is sent."),
    Key("timeout", [.ping], pingTime, standard: "`30s`", "The time for the answer to a ping."),
    Key(
      "history_memory", [.limits], memory, standard: shown(process.historyMemory),
      """
      The most that the histories of all groups may take in this process. Beyond it, the groups that were published to longest ago lose \
      theirs.
      """),
    Key(
      "compression_memory", [.limits], memory, standard: shown(process.compressionMemory),
      "The most that all sessions together may keep for `context_takeover`."),
  ]
}
