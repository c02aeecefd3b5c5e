import Routing

/// Reads what `callback` and `permission` have in common: the URL of a view, and how it is asked.
struct QuestionReader {
  let reading: Reading
  /// `limits.handshake`
  let handshake: Duration

  /// - Parameters:
  ///   - mapping: of `callback` or `permission`.
  ///   - example: of its `url`.
  ///   - standard: the fields that are passed on if the file names none.
  ///   - hasToken: whether `from` says what `Authorization` holds.
  func read(
    _ mapping: MappingCursor, example: String, headers standard: [String], hasToken: Bool
  ) -> QuestionConfiguration? {
    let url = mapping.required("url", hint: example)
    var question = url.flatMap { readURL($0, headers: standard) }
    var upstream = question?.url
    UpstreamReader(reading: reading, captures: nil, use: .question).readTrust(
      mapping.value("tls"), of: &upstream)
    if let upstream { question?.url = upstream }
    if let time = mapping.duration("idle_timeout") { question?.url.idleTimeout = time }
    if let host = mapping.choice("host", of: UpstreamConfiguration.HostHeader.self) {
      question?.url.hostHeader = host
    }
    if let value = mapping.value("headers") {
      question?.headers = readHeaders(value, hasToken: hasToken, mayBeEmpty: standard.isEmpty)
    }
    if let value = mapping.value("timeout"), let time = mapping.duration("timeout") {
      question?.timeout = time
      checkTimeout(time, at: value.range)
    }
    if let time = mapping.duration("cache") { question?.cache = time }
    if let time = mapping.duration("cache_refusals") { question?.cacheRefusals = time }
    question?.recheck = mapping.duration("recheck")
    return question
  }

  /// Reports a `timeout` that never passes, as the handshake ends before.
  func checkTimeout(_ time: Duration, at range: SourceRange) {
    guard time > handshake else { return }
    reading.findings.warning(
      .outOfRange, "\"timeout\" is longer than \"limits.handshake\", which ends the handshake first",
      at: range, hint: "raise \"limits.handshake\", or lower \"timeout\"")
  }

  // MARK: - The URL

  /// An `http` or `https` URL, or a Unix socket with a path. Only its path and its query may have places.
  func readURL(_ node: Node, headers: [String]) -> QuestionConfiguration? {
    guard let text = reading.word(node, "a URL") else { return nil }
    let parts = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard !Self.server(of: parts[0]).contains("{") else {
      return reading.refuse(
        .invalidValue, "a place such as {room} can stand only in the path and in the query of this URL",
        at: node.range, hint: "write the server itself: a client must not choose which one is asked")
    }
    let reader = UpstreamReader(reading: reading, captures: nil, use: .question)
    guard let url = reader.readAddress(parts[0], at: node, [.http, .https]) else { return nil }
    var question = QuestionConfiguration(url: url, headers: headers)
    if parts.count == 2 {
      guard let query = readQuery(parts[1], at: node) else { return nil }
      question.query = query
    }
    return question
  }

  private func readQuery(_ text: String, at node: Node) -> TextTemplate? {
    guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") }) else {
      return reading.refuse(
        .invalidValue, "a URL cannot contain spaces, special characters or a \"#\"", at: node.range,
        hint: "percent-encode them")
    }
    return reading.textTemplate(text, at: node.range)
  }

  /// What stands before the path: the scheme and the host, or the Unix socket.
  private static func server(of text: String) -> Substring {
    if text.hasPrefix("unix:") {
      let path = text.dropFirst("unix:".count)
      return text[..<(path.firstIndex(of: ":") ?? text.endIndex)]
    }
    let start = text.firstRange(of: "://")?.upperBound ?? text.startIndex
    return text[..<(text[start...].firstIndex(of: "/") ?? text.endIndex)]
  }

  /// Reports the places of a question's URL that are no captures of a route.
  ///
  /// - Parameters:
  ///   - whose: `the callback of "site"`, or `"permission"`.
  ///   - range: of the key at the route, or around it, that leads to the question.
  ///   - hint: what to do about a place that means something else.
  func checkPlaces(
    of question: QuestionConfiguration, _ whose: String, _ known: [String], at range: SourceRange,
    hint: (String) -> String? = { _ in nil }
  ) {
    guard let missing = question.places.first(where: { !known.contains($0) }) else { return }
    reading.findings.error(
      .unknownName, "the URL of \(whose) needs a capture \"\(missing)\", and this route has none", at: range,
      hint: hint(missing) ?? NearestName.hint(for: missing, in: known)
        ?? "write <slug:\(missing)> in the path of the route")
  }

  // MARK: - The fields

  /// Fields that are for one connection, that Sluice makes anew for each question, or that say who the client is.
  private static let ownHeaders: Set<String> = [
    "host", "connection", "upgrade", "content-length", "content-type", "transfer-encoding", "accept",
    "keep-alive",
    "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer", "expect",
    "http2-settings",
    "forwarded", "x-real-ip",
  ]
  private static let ownPrefixes = ["x-forwarded-", "sec-websocket-", "x-sluice-"]

  /// - Parameter mayBeEmpty: whether the view can do without fields of the client.
  func readHeaders(_ node: Node, hasToken: Bool, mayBeEmpty: Bool) -> [String] {
    guard let names = reading.words(node, "\"headers\"") else { return [] }
    if names.isEmpty, !mayBeEmpty, !hasToken {
      reading.findings.error(
        .invalidValue, "\"headers\" is empty, so the callback could not tell clients apart", at: node.range,
        hint: "remove it for [Cookie, Authorization]")
    }
    var seen: Set<String> = []
    for name in names {
      let lower = name.value.lowercased()
      if let (message, hint) = fault(of: name.value, lower, hasToken: hasToken) {
        reading.findings.error(.invalidValue, message, at: name.range, hint: hint)
      } else if !seen.insert(lower).inserted {
        reading.findings.error(.duplicateName, "the header \"\(name.value)\" is listed twice", at: name.range)
      }
    }
    return Array(seen).sorted()
  }

  private func fault(of name: String, _ lower: String, hasToken: Bool) -> (message: String, hint: String?)? {
    if !name.isHTTPToken { return ("\"\(name)\" is not a valid header name", nil) }
    if Self.ownHeaders.contains(lower) || Self.ownPrefixes.contains(where: lower.hasPrefix) {
      return ("Sluice sets \"\(name)\" itself", "remove it")
    }
    // WSGI reads both as the same variable, so a client could fill in another field.
    if name.contains("_") {
      return (
        "servers cannot tell \"\(name)\" from the same name with \"-\"",
        "write \(name.replacing("_", with: "-"))"
      )
    }
    if hasToken, lower == "authorization" {
      return ("\"from\" says what \"Authorization\" holds", "remove it from \"headers\"")
    }
    return nil
  }
}
