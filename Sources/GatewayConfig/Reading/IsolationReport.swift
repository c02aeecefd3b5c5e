import Bytes
import Routing

/// Reports groups that clients of two routes share although the configuration does not allow it.
struct IsolationReport {
  let groups: [RouteGroups]
  let reading: Reading

  /// - Parameter routes: all routes of the application, including those without groups.
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
    case .leak: tell(finding, .error, .groupLeak)
    case .publicReading: tell(finding, .warning, .groupLeak)
    case .personal: tell(finding, groups[finding.use].use.access.reads ? .error : .warning, .personalGroup)
    case .audience: tell(finding, .warning, .groupAudience)
    case .impersonation: tellImpersonation(finding)
    case .reserved: tellReserved(finding)
    case .needlessShared: break
    }
  }

  private func tell(_ finding: IsolationFinding, _ severity: Finding.Severity, _ code: FindingCode) {
    guard let encounter = finding.tellingEncounter else { return }
    let hint = hint(finding)
    let own = groups[finding.use]
    let other = groups[encounter.other]
    let reader = who(own.use.audience, encounter.example?.identity ?? [:], finding.kind)
    let keeper = who(other.use.audience, encounter.example?.otherIdentity ?? [:], finding.kind)
    let verb = own.use.access.passive
    guard let example = encounter.example, let path = example.path, let otherPath = example.otherPath else {
      let name = encounter.example.map { "the group \"\($0.name)\"" } ?? "a group"
      reading.findings.warning(
        .notProved,
        "\(name) is restricted to \(keeper), and Sluice could not decide whether it \(verb) \(reader) here",
        at: own.range, hint: hint, related: related(finding))
      return
    }
    // The same words do not mean the same clients: they are asked about another place.
    let kept =
      reader == keeper
      ? "this is asked about another place"
      : "\(other.use.isPublishing ? "is published to by" : "is restricted to") \(keeper)"
    reading.findings.add(
      Finding(
        severity, code,
        "the group \"\(example.name)\" \(verb) \(reader) at \"/\(path)\", but \(kept) at \"/\(otherPath)\"",
        at: own.range, hint: hint, related: related(finding)))
  }

  private func hint(_ finding: IsolationFinding) -> String {
    let own = groups[finding.use]
    if finding.kind == .personal, finding.encounters.allSatisfy({ $0.other == finding.use }) {
      return
        "put \".\" between the places if one of them cannot contain it; if no user has such a name, write \"shared: true\""
    }
    if finding.kind == .leak, let other = finding.encounters.first,
      case .authenticated(let name, let require, let also) = groups[other.other].use.audience,
      own.use.audience == .everyone
    {
      let permissions = also.filter(\.isPermission)
      let hasRules =
        !(require.isEmpty && also.filter { !$0.isOfCallback } == permissions
        && groups[other.other].use.ties.isEmpty)
      let keys = [hasRules ? "\"require\"" : nil, permissions.isEmpty ? nil : "\"permission\""].compactMap(
        \.self)
      let same = keys.isEmpty ? "" : " and the same \(keys.joined(separator: " and "))"
      let missing = "\"auth: \(name.replacing(AdmittedClients.optionalMark, with: ""))\"\(same)"
      return "add \(missing), use other group names, or write \"shared: true\" if this is intended"
    }
    return "use other group names, or write \"shared: true\" if this is intended"
  }

  private func related(_ finding: IsolationFinding) -> [Finding.Related] {
    let others = finding.encounters.filter { $0.other != finding.use }
    return others.enumerated().map { number, encounter in
      let other = groups[encounter.other]
      let keeper = who(other.use.audience, encounter.example?.otherIdentity ?? [:], finding.kind)
      var text =
        "the group \"\(encounter.example?.name ?? other.use.pattern.text)\" \(other.use.access.passive) \(keeper)"
      let more = finding.count - finding.encounters.count
      if number == others.count - 1, more > 0 { text += ", and there are \(more) more" }
      return .init(text, at: other.range)
    }
  }

  private func who(
    _ audience: AdmittedClients, _ identity: [String: String], _ kind: IsolationFinding.Kind
  ) -> String {
    guard kind == .personal, !identity.isEmpty else { return audience.words }
    let values = identity.sorted { $0.key < $1.key }.map { "\($0.key) \"\($0.value)\"" }
    return values.joined(separator: " and ")
  }

  private func tellImpersonation(_ finding: IsolationFinding) {
    guard let encounter = finding.tellingEncounter else { return }
    let own = groups[finding.use]
    let hint =
      own.key == .publish
      ? "write \"auth\" instead of \"anonymous\", so that Sluice adds the user, or choose other groups"
      : own.key == .receive
        ? "write user: \"{user}\" in the event, so that Sluice adds the user, or choose other groups"
        : "write \"consumer: chat\" or \"publish: nobody\", or choose other names"
    let others = finding.encounters.map {
      Finding.Related(
        groups[$0.other].key == .events
          ? "shows the user who has sent a message, where Sluice adds it"
          : "shows who has sent a message (identity: true)", at: groups[$0.other].range)
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
    var hint =
      "put text before the place: group names that begin with \"\(GroupName.reservedPrefix)\" are reserved for Sluice"
    if own.use.pattern.parts == [.identity(GroupPattern.user)], own.use.userType == nil {
      hint += "; or say that users are numbers, in the authenticator: user: {as: int}"
    }
    guard let example = finding.encounters.first?.example, finding.isShown, let path = example.path else {
      reading.findings.warning(
        .notProved,
        "Sluice could not decide whether the group name can begin with \"\(GroupName.reservedPrefix)\"",
        at: own.range, hint: hint)
      return
    }
    let user = example.identity.isEmpty ? "" : " for \(who(own.use.audience, example.identity, .personal))"
    reading.findings.error(
      .reservedGroup, "at \"/\(path)\" the group name is \"\(example.name)\"\(user), which is reserved",
      at: own.range, hint: hint)
  }

  private func reportNothingToShare(_ routes: [ReadRoute]) {
    let sharing = Set(groups.compactMap(\.sharedRange))
    for route in routes {
      guard let shared = route.shared, !route.hasUnknownAuth, !sharing.contains(shared.range) else {
        continue
      }
      reading.findings.error(
        .conflictingKeys, "this route has no group to share", at: shared.range, hint: "remove it")
    }
  }

  /// Reports `shared` once for a route if none of its groups needs it.
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
        "\"shared\" has no effect: no route for clients with other rights can reach the groups of this route",
        at: range, hint: "remove it")
    }
  }
}

extension AdmittedClients {
  /// For sentences: `clients authenticated by "jwt" with role = staff`.
  package var words: String {
    switch self {
    case .everyone: "every client"
    case .tokenHolder: "holders of the token"
    case .authenticated(let name, let require, let also):
      require.isEmpty && also.isEmpty
        ? "clients authenticated by \"\(name)\""
        : "clients authenticated by \"\(name)\" with \(Self.words(require, also))"
    }
  }

  /// `role = admin or staff`
  static func words(_ require: [ExactText: Set<ExactText>], _ also: Set<ClientRule>) -> String {
    let claims = require.sorted { $0.key.text < $1.key.text }.map { ClientRule.claim($0, $1).description }
    return (claims + also.map(\.description).sorted()).joined(separator: ", ")
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

extension IsolationFinding {
  /// The first encounter that shows both paths, if there is one.
  fileprivate var tellingEncounter: Encounter? {
    encounters.first { $0.example?.path != nil && $0.example?.otherPath != nil } ?? encounters.first
  }
}
