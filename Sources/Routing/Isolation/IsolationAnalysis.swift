/// Decides for all uses of groups together which clients can reach the groups of others.
///
/// Equal uses are examined once, and most of the others are told apart by the beginnings and ends of their names.
package struct IsolationAnalysis {
  /// How many others a finding names, and how many are tried for them.
  private static let mostEncounters = 5
  private static let mostTries = 8

  package let uses: [GroupUse]
  private let table: MeetingTable
  /// The uses of each class, in their order.
  private var members: [UseClass: [Int]] = [:]
  /// By names, the classes that have them.
  private var classes: [Int: [UseClass]] = [:]

  /// - Parameter budget: what everything that is asked of it may take.
  package init(_ uses: [GroupUse], budget: WorkBudget) {
    self.uses = uses
    table = MeetingTable(uses, budget: budget)
    for (number, use) in uses.enumerated() {
      guard let names = table.namesOfUse[number] else { continue }
      let own = UseClass(
        names: names, audience: use.audience, access: use.access, isPublishing: use.isPublishing,
        isPersonal: use.isPersonal, signature: use.signature)
      if members[own] == nil { classes[names, default: []].append(own) }
      members[own, default: []].append(number)
    }
  }

  // MARK: - Findings

  /// In the order of the uses.
  package func findings() -> [IsolationFinding] {
    var findings: [IsolationFinding] = []
    for use in uses.indices {
      switch table.reservedNames(of: use) {
      case nil, .never: break
      case .open: findings.append(IsolationFinding(kind: .reserved, use: use))
      case .meet(let meetings): findings.append(reserved(use, meetings))
      }
    }
    var allowed: Set<Int> = []
    var collected: [Place: IsolationFinding] = [:]
    if IsolationRules.canMatter(uses) {
      let showing = classesThatShowUsers()
      table.forEachCandidate { one, other in
        forEachPair(one, other) {
          judge($0, $1, &collected, &allowed)
          judgeSignatures($0, $1, showing, &collected)
        }
      }
    }
    findings += collected.values.map { finding in
      var finding = finding
      finding.encounters.sort { $0.other < $1.other }
      return finding
    }
    for use in uses.indices where uses[use].isShared && !allowed.contains(use) {
      findings.append(IsolationFinding(kind: .needlessShared, use: use, isShown: true))
    }
    return findings.sorted { ($0.use, $0.kind) < ($1.use, $1.kind) }
  }

  private struct Place: Hashable {
    var kind: IsolationFinding.Kind
    var use: Int
  }

  /// - Parameter meetings: with the use first.
  private func reserved(_ use: Int, _ meetings: [MeetingDecision.Meeting]) -> IsolationFinding {
    // Itself with itself: the paths are those of the use.
    let doubled = meetings.map { MeetingDecision.Meeting(name: $0.name, first: $0.first, second: $0.first) }
    let (example, isShown): (Encounter.Example?, Bool) =
      switch table.example(use, use, doubled) {
      case .never: (nil, false)
      case .open(let found): (found, false)
      case .shown(let found): (found, true)
      }
    return IsolationFinding(
      kind: .reserved, use: use, encounters: example.map { [Encounter(other: use, example: $0)] } ?? [],
      count: 1, isShown: isShown)
  }

  private func judge(
    _ one: UseClass, _ other: UseClass, _ collected: inout [Place: IsolationFinding],
    _ allowed: inout Set<Int>
  ) {
    for (low, high) in one == other ? [(one, other)] : laterFirst(one, other) {
      for concern in IsolationRules.concerns(of: low, over: high) {
        let verdict = table.verdict(high.names, low.names, concern.question)
        if case .never = verdict { continue }
        tell(concern, low, high, &collected, &allowed)
        // If two uses can reach each other's groups, one of them is reported.
        return
      }
    }
  }

  /// That a group is shared on purpose does not mean that its messages may be forged.
  private func judgeSignatures(
    _ one: UseClass, _ other: UseClass, _ showing: Set<UseClass>, _ collected: inout [Place: IsolationFinding]
  ) {
    for (writer, reader) in [(one, other), (other, one)] where IsolationRules.canForge(writer, for: reader) {
      guard reader.signature == .shown || showing.contains(reader) else { continue }
      if case .never = table.verdict(reader.names, writer.names, .anyName) { continue }
      let concern = IsolationRules.Concern(kind: .impersonation, question: .anyName)
      collect(concern, members[writer] ?? [], members[reader] ?? [], &collected)
    }
  }

  /// Of the classes with `shownIfAdded`, those that can share a group with a class whose messages name a user.
  private func classesThatShowUsers() -> Set<UseClass> {
    var showing: Set<UseClass> = []
    guard uses.contains(where: { $0.signature == .shownIfAdded }) else { return showing }
    table.forEachCandidate { one, other in
      forEachPair(one, other) { first, second in
        for (writer, reader) in [(first, second), (second, first)]
        where reader.signature == .shownIfAdded && IsolationRules.addsUsers(writer) {
          if showing.contains(reader) { continue }
          if case .never = table.verdict(reader.names, writer.names, .anyName) { continue }
          showing.insert(reader)
        }
      }
    }
    return showing
  }

  private func laterFirst(_ one: UseClass, _ other: UseClass) -> [(UseClass, UseClass)] {
    func first(_ kind: UseClass) -> Int { members[kind]?.first ?? 0 }
    return first(one) > first(other) ? [(one, other), (other, one)] : [(other, one), (one, other)]
  }

  private func tell(
    _ concern: IsolationRules.Concern, _ low: UseClass, _ high: UseClass,
    _ collected: inout [Place: IsolationFinding], _ allowed: inout Set<Int>
  ) {
    guard let lows = members[low], let highs = members[high] else { return }
    // What one of the two allows is no finding, and not needless.
    let isAllowed = { (use: Int) in uses[use].isShared }
    allowed.formUnion(lows.filter(isAllowed))
    allowed.formUnion(highs.filter(isAllowed))
    collect(concern, lows.filter { !isAllowed($0) }, highs.filter { !isAllowed($0) }, &collected)
  }

  private func collect(
    _ concern: IsolationRules.Concern, _ lows: [Int], _ others: [Int],
    _ collected: inout [Place: IsolationFinding]
  ) {
    for use in lows {
      let place = Place(kind: concern.kind, use: use)
      let already = collected[place]?.encounters.count ?? 0
      let (encounters, count, isShown) = encounters(
        of: use, with: others, concern.question, wanted: max(0, Self.mostEncounters - already))
      guard count > 0 else { continue }
      var finding = collected[place] ?? IsolationFinding(kind: concern.kind, use: use)
      finding.encounters += encounters
      finding.count += count
      finding.isShown = finding.isShown || isShown
      collected[place] = finding
    }
  }

  /// The first of the others that it comes by, and how many there may be.
  private func encounters(
    of use: Int, with others: [Int], _ question: MeetingDecision.Question, wanted: Int
  ) -> (encounters: [Encounter], count: Int, isShown: Bool) {
    var found: [Encounter] = []
    var count = others.count
    var isShown = false
    for other in others.prefix(Self.mostTries) where found.count < wanted {
      switch table.example(use, other, question) {
      case .never: count -= 1
      case .open(let example): found.append(Encounter(other: other, example: example))
      case .shown(let example):
        found.append(Encounter(other: other, example: example))
        isShown = true
      }
    }
    return (found, count, isShown)
  }

  // MARK: - Who can share a group

  /// By use, the uses of other routes that can come by the same groups: the first of them, and how many there are.
  package func neighbours() -> [(encounters: [Encounter], count: Int)] {
    var result = uses.map { _ in (encounters: [Encounter](), count: 0) }
    table.forEachCandidate { one, other in
      forEachPair(one, other) { first, second in
        if case .never = table.verdict(second.names, first.names, .anyName) { return }
        for (low, high) in first == second ? [(first, second)] : [(first, second), (second, first)] {
          let all = members[high] ?? []
          for use in members[low] ?? [] {
            let wanted = max(0, Self.mostEncounters - result[use].encounters.count)
            let others = Array(all.lazy.filter { !isOneRoute($0, use) }.prefix(Self.mostTries))
            var (encounters, count, _) = encounters(of: use, with: others, .anyName, wanted: wanted)
            if all.count > others.count { count += all.count - others.count - own(use, in: high) }
            result[use].encounters += encounters
            result[use].count += count
          }
        }
      }
    }
    for use in result.indices { result[use].encounters.sort { $0.other < $1.other } }
    return result
  }

  /// How many uses of the class are of the same route.
  private func own(_ use: Int, in kind: UseClass) -> Int {
    // The uses of one route follow each other.
    let before = uses.indices[..<use].reversed().prefix { isOneRoute($0, use) }
    let after = uses.indices[use...].prefix { isOneRoute($0, use) }
    return (Array(before) + Array(after)).count { (members[kind] ?? []).contains($0) }
  }

  private func isOneRoute(_ one: Int, _ other: Int) -> Bool {
    uses[one].route == uses[other].route && uses[one].tableName == uses[other].tableName
  }

  /// Every pair of classes of which one has the one's names, and the other the other's.
  private func forEachPair(_ one: Int, _ other: Int, _ body: (UseClass, UseClass) -> Void) {
    let (ones, others) = (classes[one] ?? [], classes[other] ?? [])
    for (place, first) in ones.enumerated() {
      for second in one == other ? others[place...] : others[...] { body(first, second) }
    }
  }
}
