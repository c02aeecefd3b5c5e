import Bytes

/// Reads the options of `consumer: view`.
struct ViewReader {
  static let example = "http://127.0.0.1:8001/ws/chat/{room}/"
  /// Each secret costs a signature for each question.
  private static let mostSecrets = 4

  let context: RouteContext
  /// The names that the route captures; nil if they are not known.
  let captures: [String]?
  /// `limits:` of the route's sessions.
  let limits: SessionLimits
  /// Whether a preset is read without a route, which may add missing options.
  let isPreset: Bool

  private var reading: Reading { context.reading }
  private var questions: QuestionReader { QuestionReader(reading: reading, handshake: context.handshake) }

  /// - Parameter range: of the name of the consumer.
  /// - Returns: nil if there is no view that could be asked.
  func read(_ range: SourceRange, _ options: ConsumerOptions, _ values: RouteOptions) -> ViewConfiguration? {
    let url = readURL(range, options)
    var view = ViewConfiguration(question: url ?? QuestionConfiguration(url: Key.upstream, headers: []))
    readQuestion(&view.question, isKnown: url != nil, options, values)
    if let on = options["on"], let events = readEvents(on.value) { view.on = events }
    if let alive = options["alive"] { view.alive = duration(alive) }
    if let entry = options["protocol"] {
      view.wire = choice(entry, of: ViewConfiguration.Wire.self) ?? view.wire
    }
    // A gateway that speaks it tells of all of them.
    if view.wire == .webSocketOverHTTP, options["on"] == nil {
      view.on = Set(ViewConfiguration.Event.allCases)
    }
    if let entry = options["order"] {
      view.order = choice(entry, of: ViewConfiguration.Order.self) ?? view.order
    }
    if let entry = options["on_failure"] {
      view.onFailure = choice(entry, of: ViewConfiguration.OnFailure.self) ?? view.onFailure
    }
    if let entry = options["batch"] { view.batch = integer(entry) ?? view.batch }
    if let entry = options["in_flight"] { view.inFlight = integer(entry) ?? view.inFlight }
    if let entry = options["retry"] { view.repeatsReceive = truth(entry) ?? view.repeatsReceive }
    readTrust(&view, options, at: range, isURLKnown: url != nil)
    check(view, options, at: range)
    return url == nil ? nil : view
  }

  /// The same address with `http` for `ws`, as a view is asked.
  static func asURL(_ text: String) -> String {
    guard !text.contains("@") else { return example }
    for (scheme, meant) in [("ws://", "http://"), ("wss://", "https://")] where text.hasPrefix(scheme) {
      return meant + text.dropFirst(scheme.count)
    }
    return text
  }

  // MARK: - The question

  private func readURL(_ range: SourceRange, _ options: ConsumerOptions) -> QuestionConfiguration? {
    guard let url = options["url"] else {
      // Whoever wrote "to" has been told so.
      guard !isPreset, options["to"] == nil else { return nil }
      return reading.refuse(
        .missingKey, "the consumer \"view\" needs \"url\", the view that is asked", at: range,
        hint: "url: \(Self.example)")
    }
    guard let question = questions.readURL(url.value, headers: []) else { return nil }
    if let captures {
      questions.checkPlaces(of: question, "the view", captures, at: url.value.range) { place in
        place == "user" ? "remove it: each question has the user in its body, signed" : nil
      }
    }
    return question
  }

  private func readQuestion(
    _ question: inout QuestionConfiguration, isKnown: Bool, _ options: ConsumerOptions, _ values: RouteOptions
  ) {
    if let host = options["host"], let choice = choice(host, of: UpstreamConfiguration.HostHeader.self) {
      question.url.hostHeader = choice
    }
    var upstream = isKnown ? question.url : nil
    UpstreamReader(reading: reading, captures: nil, use: .question)
      .readTrust(options["tls"]?.value, of: &upstream)
    if let upstream { question.url = upstream }
    question.url.connectTimeout = values[.connectTimeout]
    context.checkConnectTimeout(options, values)
    if let entry = options["idle_timeout"], let time = duration(entry) { question.url.idleTimeout = time }
    if let entry = options["headers"] {
      question.headers = questions.readHeaders(entry.value, hasToken: false, mayBeEmpty: true)
    }
    if let entry = options["timeout"], let time = duration(entry) {
      question.timeout = time
      questions.checkTimeout(time, at: entry.value.range)
    }
  }

  private func readEvents(_ node: Node) -> Set<ViewConfiguration.Event>? {
    guard let items = reading.words(node, "\"on\"") else { return nil }
    guard !items.isEmpty else {
      return reading.refuse(
        .invalidValue, "\"on\" is empty, so the view would never be asked", at: node.range,
        hint: "remove it for [connect, receive]")
    }
    var events: Set<ViewConfiguration.Event> = []
    let known = ViewConfiguration.Event.allCases.map(\.rawValue)
    for item in items {
      guard let event = ViewConfiguration.Event(rawValue: item.value) else {
        reading.findings.error(
          .invalidValue, "\"\(item.value)\" is not a value for \"on\"", at: item.range,
          hint: item.value == "alive"
            ? "write alive: 60s beside \"on\": it needs a time" : NearestName.hint(for: item.value, in: known)
        )
        NearestName.of(item.value, in: known).flatMap(ViewConfiguration.Event.init).map {
          _ = events.insert($0)
        }
        continue
      }
      guard !events.insert(event).inserted else { continue }
      reading.findings.error(
        .duplicateName, "\"\(event.rawValue)\" is listed twice", at: item.range, hint: "remove one")
    }
    return events.isEmpty ? nil : events
  }

  // MARK: - Trust

  private func readTrust(
    _ view: inout ViewConfiguration, _ options: ConsumerOptions, at range: SourceRange, isURLKnown: Bool
  ) {
    let secret = options["secret"]
    if let secret { view.secrets = readSecrets(secret.value) }
    let unsigned = options["unsigned"]
    view.isUnsigned = unsigned.flatMap(truth) ?? false
    if let unsigned, view.isUnsigned {
      if let secret {
        reading.findings.error(
          .conflictingKeys, "\"unsigned\" says that questions have no signature, and \"secret\" makes one",
          at: unsigned.key.range, hint: "remove \"unsigned\"",
          related: [.init("the secret", at: secret.key.range)])
      }
      if isURLKnown, view.question.url.socket == nil {
        reading.findings.error(
          .conflictingKeys,
          "\"unsigned\" needs a Unix socket: whoever reaches \(view.question.url.place) could ask the view what only Sluice may ask",
          at: unsigned.key.range,
          hint: "write secret: {env: SLUICE_SECRET} instead, or url: unix:/run/app.sock:/ws/")
      }
    }
    guard secret == nil, !view.isUnsigned, !isPreset, isURLKnown || options["url"] != nil else { return }
    let socket = view.question.url.socket.map { _ in ", or unsigned: true for this Unix socket" } ?? ""
    reading.findings.error(
      .missingKey, "the consumer \"view\" needs \"secret\", which signs its questions", at: range,
      hint: "secret: {env: SLUICE_SECRET}\(socket)")
  }

  /// One secret, or a list of them while it is changed.
  private func readSecrets(_ node: Node) -> [Secret] {
    let items = node.items
    if items.isEmpty {
      reading.findings.error(
        .invalidValue, "the list of secrets is empty", at: node.range, hint: "secret: {env: SLUICE_SECRET}")
    }
    if items.count > Self.mostSecrets {
      reading.findings.error(
        .outOfRange, "\"secret\" lists \(items.count) secrets, and each costs a signature for each question",
        at: node.range, hint: "keep the new one and the old one: at most \(Self.mostSecrets) are possible")
    }
    var secrets: [Secret] = []
    for item in items {
      guard let secret = readSecret(item) else { continue }
      if secrets.contains(secret) {
        reading.findings.error(
          .duplicateName, "this secret is listed twice", at: item.range, hint: "remove one")
      }
      secrets.append(secret)
    }
    return secrets
  }

  private func readSecret(_ node: Node) -> Secret? {
    guard let secret = reading.secretBytes(node, "\"secret\""), reading.isKey(secret, at: node.range) else {
      return nil
    }
    guard secret.bytes.count >= ViewConfiguration.shortestSecret else {
      return reading.refuse(
        .weakSecret, "the secret has \(secret.bytes.count) bytes, which is short enough to be guessed",
        at: node.range,
        hint: "\(ViewConfiguration.shortestSecret) bytes or more are needed: openssl rand -hex 32")
    }
    return secret
  }

  // MARK: - What does not fit

  private static let ofReceive = ["batch", "order", "on_failure", "retry"]

  private func check(_ view: ViewConfiguration, _ options: ConsumerOptions, at range: SourceRange) {
    if !view.on.contains(.receive) {
      for entry in Self.ofReceive.compactMap({ options[$0] }) { reportUnasked(entry, .receive, options) }
    }
    if !view.on.contains(.connect), let entry = options["headers"] { reportUnasked(entry, .connect, options) }
    if let batch = options["batch"], view.batch > 1, view.order == .none {
      reading.findings.error(
        .conflictingKeys,
        "\"batch\" has no effect with \"order: none\", which asks about each message at once",
        at: batch.key.range, hint: "remove one of them")
    }
    if view.wire == .webSocketOverHTTP, let alive = options["alive"] {
      reading.findings.error(
        .conflictingKeys, "\"protocol: websocket-over-http\" has no question of this kind",
        at: alive.key.range,
        hint: "remove \"alive\": an answer with Keep-Alive-Interval has a view asked about each session")
    }
    checkSize(view, at: range)
  }

  private func reportUnasked(
    _ entry: Node.Entry, _ event: ViewConfiguration.Event, _ options: ConsumerOptions
  ) {
    reading.findings.error(
      .conflictingKeys,
      "\"\(entry.key.value)\" is about \"\(event.rawValue)\", which \"on\" leaves out", at: entry.key.range,
      hint: "add \(event.rawValue) to \"on\", or remove \"\(entry.key.value)\"",
      related: options["on"].map { [.init("what the view is asked about", at: $0.key.range)] } ?? [])
  }

  /// Reports that a message may be too large for a question.
  private func checkSize(_ view: ViewConfiguration, at range: SourceRange) {
    guard !isPreset, !context.hasReportedMessageSize, view.on.contains(.receive),
      limits.message > ViewConfiguration.largestMessage
    else { return }
    // Once, as it is most likely written for all routes.
    context.hasReportedMessageSize = true
    reading.findings.warning(
      .limitsDisagree,
      "\"limits.message\" is \(limits.message), and a question has room for \(ViewConfiguration.largestBody): in base64 a message of more than \(ViewConfiguration.largestMessage) may not fit, and closes its session with 1009",
      at: range,
      hint:
        "write limits: {message: 1MiB} at the route; Django takes questions of this size with DATA_UPLOAD_MAX_MEMORY_SIZE as it is (2.5 MB)"
    )
  }

  // MARK: - Values

  private func duration(_ entry: Node.Entry) -> Duration? {
    reading.duration(entry.value, what(entry), in: range(of: entry, \.times))
  }

  private func integer(_ entry: Node.Entry) -> Int? {
    reading.integer(entry.value, what(entry), in: range(of: entry, \.integers))
  }

  private func truth(_ entry: Node.Entry) -> Bool? { reading.truth(entry.value, what(entry)) }

  private func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ entry: Node.Entry, of type: Choice.Type
  ) -> Choice? { reading.choice(entry.value, what(entry), of: type) }

  private func what(_ entry: Node.Entry) -> String { "\"\(entry.key.value)\"" }

  private func range<Bound>(
    of entry: Node.Entry, _ kind: KeyPath<KeyValue, ClosedRange<Bound>?>
  ) -> ClosedRange<Bound> { Key.range(of: entry.key.value, at: .preset, kind) }
}
