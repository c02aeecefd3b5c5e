import Routing

/// Reads the groups that a route names: templates, and patterns with `*`.
struct GroupReader {
  /// The most groups of a session without those it subscribes to.
  private static let mostTemplates = 16
  private static let mostPatterns = 64

  let reading: Reading
  /// The names that the route captures; nil if they are not known.
  let captures: [String]?
  /// Whether the clients of the route authenticate; nil if this is not known.
  let hasIdentity: Bool?

  /// Reads one group, or a list of groups.
  ///
  /// - Returns: at least one group; nil if one of them cannot be used.
  func readTemplates(_ node: Node) -> [Located<GroupPattern>]? {
    guard let items = items(of: node, "\"group\"", atMost: Self.mostTemplates) else { return nil }
    guard !items.isEmpty else {
      return reading.refuse(
        .invalidValue, "the list of groups is empty", at: node.range,
        hint: "name a group: [news, user_{user}]")
    }
    let templates = items.compactMap { read($0, "\"group\"", GroupPattern.parse(template:)) }
    reportTwice(templates)
    return templates.count == items.count ? templates : nil
  }

  /// What a route without a group may write: `group: user_{user}`.
  ///
  /// - Parameter word: what the name begins with, if it is not for one user.
  func example(_ word: String) -> String {
    if let capture = captures?.first { return "group: \(word)_{\(capture)}" }
    if hasIdentity == true { return "group: user_{user}" }
    return "group: \(word)_{room}\(captures == nil ? "" : ", with <slug:room> in the path")"
  }

  /// One pattern, or a list of them.
  func readPatterns(_ node: Node, _ what: String) -> [GroupPattern] {
    let items = items(of: node, what, atMost: Self.mostPatterns) ?? []
    if items.isEmpty, case .sequence = node.content {
      reading.findings.error(
        .invalidValue, "\(what) is empty", at: node.range, hint: "remove it, or name a group: [ticker_*]")
    }
    let patterns = items.compactMap { read($0, what, GroupPattern.parse(_:)) }
    reportTwice(patterns)
    for pattern in patterns {
      reading.checkCaptures(pattern.value.captureNames, among: captures, .invalidGroup, at: pattern.range)
    }
    return patterns.map(\.value)
  }

  /// The groups that the answer of a view may name.
  ///
  /// - Parameter isAsked: whether the sessions of the route have a view that is asked about them, whether clients authenticate or not.
  func readFromView(_ entry: Node.Entry, isAsked: Bool = false) -> GroupsFromView? {
    let what = "\"groups_from_view\""
    if hasIdentity == false, !isAsked {
      reading.findings.error(
        .missingKey, "\(what) needs \"auth\": the answer of a view names the groups", at: entry.key.range,
        hint: "add auth: NAME, the name of an authenticator with \"callback\"; or write consumer: view")
    }
    guard let items = items(of: entry.value, what, atMost: Self.mostPatterns) else { return nil }
    if items.isEmpty {
      reading.findings.error(
        .invalidValue, "\(what) is empty", at: entry.value.range,
        hint: "remove it, or say which groups the view may name: [\"room_<int:id>\"]")
    }
    let patterns = items.compactMap { read($0, what, GroupPattern.parse(fromView:)) }
    for pattern in patterns where pattern.value.isOpenToEverything {
      reading.findings.error(
        .invalidGroup, "\"\(pattern.value.text)\" lets the view put its clients into every group",
        at: pattern.range,
        hint: "write what the names have in common: room_*, or room_<int:id>")
    }
    reportTwice(patterns)
    return patterns.isEmpty ? nil : GroupsFromView(patterns.map(\.value))
  }

  private func items(of node: Node, _ what: String, atMost most: Int) -> [Node]? {
    guard node.items.count <= most else {
      return reading.refuse(
        .outOfRange, "\(what) names \(node.items.count) groups, and at most \(most) are possible",
        at: node.range)
    }
    return node.items
  }

  private func read(
    _ node: Node, _ what: String, _ parse: (String) -> Result<GroupPattern, PatternFault>
  ) -> Located<GroupPattern>? {
    guard let scalar = reading.textScalar(node, what) else { return nil }
    switch parse(scalar.text) {
    case .success(let pattern): return Located(resolved(pattern, at: node.range), at: node.range)
    case .failure(let fault):
      return reading.refuse(
        .invalidGroup, fault.message + reading.origin(scalar), at: node.range, hint: fault.hint)
    }
  }

  /// `{user}` is the client's user, unless the route has a capture of that name.
  private func resolved(_ pattern: GroupPattern, at range: SourceRange) -> GroupPattern {
    let namesUser = pattern.captureNames.contains(GroupPattern.user)
    let capturesUser = captures?.contains(GroupPattern.user) ?? (hasIdentity != true)
    if hasIdentity == true, namesUser, capturesUser {
      reading.findings.error(
        .conflictingKeys, "{user} is both a capture of the path and the user of the token", at: range,
        hint: "give the capture another name: <slug:name>")
    }
    if hasIdentity == false, pattern.isPersonal || namesUser && !capturesUser {
      reading.findings.error(
        .missingKey, "the group depends on the user, and the route has no \"auth\"", at: range,
        hint: "add auth: NAME, the name of one of the authenticators under \"auth\"")
    }
    return namesUser && !capturesUser ? pattern.withUser : pattern
  }

  private func reportTwice(_ groups: [Located<GroupPattern>]) {
    var seen: Set<String> = []
    for group in groups where !seen.insert(group.value.text).inserted {
      reading.findings.error(
        .duplicateName, "the group \"\(group.value.text)\" is listed twice", at: group.range,
        hint: "remove one")
    }
  }
}
