import Routing

/// Says at the places where groups are written who shares them with whom without being meant to.
struct IsolationReport {
  let groups: [RouteGroups]
  let reading: Reading

  /// - Parameter routes: all of the application, those without groups included.
  func report(_ routes: [ReadRoute]) {
    reportNothingToShare(routes)
    guard !groups.isEmpty else { return }
    let analysis = IsolationAnalysis(groups.map(\.use), budget: .forAnalyses(of: groups.count))
    let findings = analysis.findings()
    for finding in findings { report(finding) }
    reportNeedless(findings)
  }

  private func report(_ finding: IsolationFinding) {
    switch finding.kind {
    case .leak: tell(finding, .error, .groupLeak, hint(finding))
    case .publicReading:
      tell(finding, .warning, .groupLeak, "\(hint(finding)) there")
    case .personal:
      let isRead = groups[finding.use].use.access.reads
      tell(finding, isRead ? .error : .warning, .personalGroup, hint(finding))
    case .audience: tell(finding, .warning, .groupAudience, hint(finding))
    case .impersonation: tellImpersonation(finding)
    case .reserved: tellReserved(finding)
    case .needlessShared: break
    }
  }

  private func tell(
    _ finding: IsolationFinding, _ severity: Finding.Severity, _ code: FindingCode, _ hint: String
  ) {
    guard
      let encounter = finding.encounters.first(where: { $0.example?.isShown == true })
        ?? finding.encounters.first
    else { return }
    let own = groups[finding.use]
    let other = groups[encounter.other]
    let reader = who(own.use.audience, encounter.example?.identity ?? [:], finding.kind)
    let keeper = who(other.use.audience, encounter.example?.otherIdentity ?? [:], finding.kind)
    let verb = own.use.access.passive
    guard let example = encounter.example, let path = example.path, let otherPath = example.otherPath else {
      let name = encounter.example.map { "\"\($0.name)\"" } ?? "a group"
      reading.findings.warning(
        .notProved, "\(name) is kept to \(keeper): whether it \(verb) \(reader) here was not decided",
        at: own.range, hint: hint, related: related(finding))
      return
    }
    let kept = other.use.isPublishing ? "is what \(keeper) publish to" : "is kept to \(keeper)"
    reading.findings.add(
      Finding(
        severity, code,
        "\"\(example.name)\" \(verb) \(reader) at \"/\(path)\", and \(kept) at \"/\(otherPath)\"",
        at: own.range, hint: hint, related: related(finding)))
  }

  private func hint(_ finding: IsolationFinding) -> String {
    let own = groups[finding.use]
    if finding.kind == .personal, finding.encounters.allSatisfy({ $0.other == finding.use }) {
      return
        "put \".\" between the places, where one of them cannot contain it; where nobody is called like that, write \"shared: true\""
    }
    if finding.kind == .leak, let other = finding.encounters.first,
      case .authenticated(let name, let require) = groups[other.other].use.audience,
      own.use.audience == .everyone
    {
      let missing = require.isEmpty ? "\"auth: \(name)\"" : "\"auth: \(name)\" and the same \"require\""
      return "add \(missing), choose other names, or write \"shared: true\" where it is meant"
    }
    return "choose other names, or write \"shared: true\" where it is meant"
  }

  private func related(_ finding: IsolationFinding) -> [Finding.Related] {
    let others = finding.encounters.filter { $0.other != finding.use }
    return others.enumerated().map { number, encounter in
      let other = groups[encounter.other]
      let keeper = who(other.use.audience, encounter.example?.otherIdentity ?? [:], finding.kind)
      var text =
        "\"\(encounter.example?.name ?? other.use.text)\" \(other.use.access.passive) \(keeper)"
      let more = finding.count - finding.encounters.count
      if number == others.count - 1, more > 0 { text += ", and there are \(more) more" }
      return .init(text, at: other.range)
    }
  }

  private func who(_ audience: Audience, _ identity: [String: String], _ kind: IsolationFinding.Kind)
    -> String
  {
    if kind == .personal, !identity.isEmpty {
      return identity.sorted { $0.key < $1.key }.map { "\($0.key) \"\($0.value)\"" }.joined(
        separator: " and ")
    }
    return audience.words
  }

  private func tellImpersonation(_ finding: IsolationFinding) {
    guard
      let encounter = finding.encounters.first(where: { $0.example?.isShown == true })
        ?? finding.encounters.first
    else { return }
    let own = groups[finding.use]
    let hint =
      own.key == .publish
      ? "write \"auth\" instead of \"anonymous\", so that Sluice adds the user, or choose other groups"
      : "write \"consumer: chat\" or \"publish: nobody\", or choose other names"
    let others = finding.encounters.map {
      Finding.Related("shows who has sent a message (identity: true)", at: groups[$0.other].range)
    }
    guard let example = encounter.example, let path = example.path, let otherPath = example.otherPath else {
      reading.findings.warning(
        .notProved, "whether what clients send here can pass for another user's message was not decided",
        at: own.range, hint: hint, related: others)
      return
    }
    reading.findings.warning(
      .impersonation,
      "what \(own.use.audience.words) can send to \"\(example.name)\" at \"/\(path)\" can pass for another user's message at \"/\(otherPath)\"",
      at: own.range, hint: hint, related: others)
  }

  private func tellReserved(_ finding: IsolationFinding) {
    let own = groups[finding.use]
    let hint =
      "put text before it: groups that begin with \"\(GroupTemplate.reservedPrefix)\" are the gateway's own"
    guard let example = finding.encounters.first?.example, finding.isShown, let path = example.path else {
      reading.findings.warning(
        .notProved,
        "whether a name of these can begin with \"\(GroupTemplate.reservedPrefix)\" was not decided",
        at: own.range, hint: hint)
      return
    }
    let user = example.identity.isEmpty ? "" : " for \(who(own.use.audience, example.identity, .personal))"
    reading.findings.error(
      .reservedGroup, "at \"/\(path)\" the name is \"\(example.name)\"\(user), which is reserved",
      at: own.range, hint: hint)
  }

  private func reportNothingToShare(_ routes: [ReadRoute]) {
    let sharing = Set(groups.compactMap(\.sharedRange))
    for route in routes {
      guard let shared = route.shared, !route.hasUnknownAuth, !sharing.contains(shared.range) else {
        continue
      }
      reading.findings.error(
        .conflictingKeys, "this route has no group that could be shared", at: shared.range, hint: "remove it")
    }
  }

  /// One for a route, where none of its groups needs it.
  private func reportNeedless(_ findings: [IsolationFinding]) {
    var needless: [SourceRange: Bool] = [:]
    let uses = Set(findings.filter { $0.kind == .needlessShared }.map(\.use))
    for (number, group) in groups.enumerated() {
      guard let range = group.sharedRange, group.use.isShared else { continue }
      needless[range] = (needless[range] ?? true) && uses.contains(number)
    }
    for (range, isNeedless) in needless where isNeedless {
      reading.findings.warning(
        .needlessShared,
        "\"shared\" allows nothing: no groups of this route meet those of clients with other rights",
        at: range, hint: "remove it")
    }
  }
}

extension Audience {
  /// For sentences: `those whom "jwt" lets in with role = staff`.
  package var words: String {
    switch self {
    case .everyone: "everybody"
    case .tokenHolder: "those who have the token"
    case .authenticated(let name, let require):
      require.isEmpty
        ? "those whom \"\(name)\" lets in" : "those whom \"\(name)\" lets in with \(Self.words(require))"
    }
  }

  /// `role = admin or staff`
  package static func words(_ require: [String: Set<String>]) -> String {
    require.sorted { $0.key < $1.key }.map { claim, values in
      "\(claim) = \(values.sorted().joined(separator: " or "))"
    }.joined(separator: ", ")
  }
}

extension GroupUse.Access {
  /// `can be read by`
  fileprivate var passive: String {
    switch (reads, writes) {
    case (true, true): "can be read and written by"
    case (false, true): "can be written by"
    case (_, false): "can be read by"
    }
  }

  /// `reads and writes`
  package var words: String {
    switch (reads, writes) {
    case (true, true): "reads and writes"
    case (false, true): "writes"
    case (_, false): "reads"
    }
  }
}

extension Encounter.Example {
  fileprivate var isShown: Bool { path != nil && otherPath != nil }
}
