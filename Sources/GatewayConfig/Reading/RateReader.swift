import Bytes

extension Reading {
  private static let periods = ["s": Duration.seconds(1), "m": .seconds(60), "h": .seconds(3600)]

  /// `20/s`, or `20/s burst 100`; without a burst as many at once as in one period.
  func rate(_ node: Node, _ what: String) -> Rate? {
    guard let scalar = scalar(node, what) else { return nil }
    let hint = "write a number for a second, a minute or an hour and a burst: 20/s burst 100"
    func fail(_ message: String) -> Rate? {
      return refuse(.invalidValue, message + origin(scalar), at: node.range, hint: hint)
    }
    let words = scalar.text.split(separator: " ")
    let parts = (words.first ?? "").split(separator: "/", omittingEmptySubsequences: false)
    guard words.count == 1 || words.count == 3 && words[1] == "burst", parts.count == 2,
      let period = Self.periods[String(parts[1])], let count = Self.count(parts[0])
    else { return fail("\(what) is a rate, not \"\(scalar.text)\"") }
    guard let burst = words.count == 3 ? Self.count(words[2]) : count else {
      return fail("the burst of \(what) is a number, not \"\(words[2])\"")
    }
    guard (1...1_000_000).contains(count), (1...1_000_000).contains(burst) else {
      return refuse(
        .outOfRange, "\(what) is \(scalar.text)", at: node.range, hint: "both numbers can be 1 to 1000000")
    }
    return Rate(count: count, period: period, burst: burst)
  }

  private static func count(_ text: Substring) -> Int? {
    (1...18).contains(text.utf8.count) && text.isOfDigits ? Int(text) : nil
  }
}

extension UserLimits {
  /// `limits.per_user`: `{messages:, handshakes:}`, or `none`.
  init(reading node: Node, _ reading: Reading) {
    self.init()
    guard !node.isWord("none") else { return }
    let shape = "{messages: 50/s burst 100, handshakes: 30/m} or none"
    guard let mapping = MappingCursor(node, .perUser, reading, shape: shape) else { return }
    messages = mapping.rate("messages")
    handshakes = mapping.rate("handshakes")
    mapping.finish()
  }

  /// Reports limits for users where there are none.
  ///
  /// - Parameter limits: at the top level of the file.
  static func check(_ limits: Node?, _ applications: [ApplicationConfiguration], _ reading: Reading) {
    guard let entry = limits?.entry("per_user"), !entry.value.isWord("none"),
      !applications.contains(where: \.knowsUsers), !reading.findings.hasErrors
    else { return }
    reading.findings.warning(
      .conflictingKeys, "\"per_user\" has no effect: no route has \"auth\", so there are no users",
      at: entry.key.range, hint: "add auth: NAME to the routes, or use \"per_ip\"")
  }
}

extension MessageRate {
  /// `limits.rate`, on top of what holds around it: a rate, `none`, or `{messages:, over:}`.
  mutating func read(_ node: Node, _ reading: Reading) {
    if case .scalar = node.content {
      messages = node.isWord("none") ? nil : reading.rate(node, "\"rate\"") ?? messages
      return
    }
    guard let mapping = MappingCursor(node, .rate, reading) else { return }
    if mapping.value("messages") != nil { messages = mapping.rate("messages") }
    excess = mapping.choice("over", of: Excess.self) ?? excess
    mapping.finish()
  }
}

extension SessionLimits {
  /// Reports what a route says about its rate, and what can have no effect or not be done there.
  ///
  /// - Parameter answer: the key that says what the route does.
  func checkRate(of route: MappingCursor, _ answer: Node.Entry, isProxy: Bool) {
    let reading = route.reading
    let over = route.value("limits")?.entry("rate")?.value.entry("over")
    if let over, !countsMessages {
      reading.findings.warning(
        .conflictingKeys, "\"over\" has no effect: nothing says how fast clients may send",
        at: over.key.range,
        hint: "write messages: 20/s burst 50 beside it")
    }
    guard isProxy, countsMessages, rate.excess == .reply else { return }
    reading.findings.error(
      .conflictingKeys,
      "\"over: reply\" would put messages of Sluice among those of the upstream of \"consumer: proxy\"",
      at: (over ?? answer).key.range,
      hint: "write limits: {rate: {over: wait}} or {over: close} at this route")
  }
}

extension MappingCursor {
  /// The rate of a key; nil also for `none`.
  fileprivate func rate(_ key: String) -> Rate? {
    guard let value = value(key), !value.isWord("none") else { return nil }
    return reading.rate(value, "\"\(key)\"")
  }
}
