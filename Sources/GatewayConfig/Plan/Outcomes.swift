import Routing

/// What can become of the clients on the paths of one part, with everything that the automata and the rules can exclude.
struct Outcomes {
  let change: RouteChange
  let old: ClientRoute
  let new: ClientRoute?
  /// Nil where the part was not found on the automata.
  let captures: CaptureComparison?
  let budget: WorkBudget

  /// The worst first.
  var all: [ClientVerdict] {
    let excluded = self.excluded
    let all = change.outcomes.filter { !excluded.contains($0) }
    guard all.contains(.closes(.groupsChanged)), isCertainlyElsewhere else { return all }
    // Nobody is in the same groups, so nothing that comes after it can become of anybody.
    return all.filter {
      if case .closes(let end) = $0 { end != .rightsChanged || change.isCertain(end) } else { false }
    }
  }

  /// What the pair of routes by itself does not exclude, and the values of captures and the sets of names do.
  private var excluded: Set<ClientVerdict> {
    guard let new else { return [] }
    var excluded: Set<ClientVerdict> = []
    // Whoever was let in is let in now.
    let use: OriginPolicy.Use = new.consumer == nil ? .stream : .handshake
    if new.origins.widening(to: old.origins, for: use) == nil {
      excluded.insert(.closes(.originRefused))
    }
    guard let groups = new.groups, let known = old.groups, groups.fromView == known.fromView else {
      return excluded
    }
    // What ends a client whatever groups it is in is not about those.
    if !change.isCertain(.groupsChanged), areSame(known.templates, groups.templates) {
      excluded.insert(.closes(.groupsChanged))
    }
    if !change.isCertain(.rightsChanged),
      areSame(known.subscribe, groups.subscribe) || stayOpen(known.subscribe, groups.subscribe)
    {
      excluded.insert(.closes(.rightsChanged))
    }
    return excluded
  }

  /// Whether the groups of every client have the same names by both, in the same order.
  private func areSame(_ old: [GroupPattern], _ new: [GroupPattern]) -> Bool {
    guard let names = GroupPattern.correspondence(old, new) else { return false }
    if names.isEmpty { return true }
    return captures?.agreement(on: names) == .same
  }

  /// Whether what could be joined still can be.
  private func stayOpen(_ old: [GroupPattern], _ new: [GroupPattern]) -> Bool {
    let names = (old + new).flatMap(\.captureNames).unique.map { (old: $0, new: $0) }
    guard names.isEmpty || captures?.agreement(on: names) == .same else { return false }
    return NameWidening(from: new, to: old, budget: budget.share()) == .none
  }

  /// Whether no client is in the groups that the new route names for it.
  private var isCertainlyElsewhere: Bool {
    guard let groups = new?.groups?.templates, let known = old.groups?.templates else { return false }
    if groups.count != known.count { return true }
    return zip(known, groups).contains { one, other in !one.mayMeet(other) }
  }
}

extension GroupPattern {
  /// The captures that fill the same places of the same templates; nil where the templates differ in anything else.
  static func correspondence(_ old: [GroupPattern], _ new: [GroupPattern]) -> [(old: String, new: String)]? {
    guard old.count == new.count else { return nil }
    var names: [(old: String, new: String)] = []
    for (one, other) in zip(old, new) {
      guard one.parts.count == other.parts.count else { return nil }
      for (part, otherPart) in zip(one.parts, other.parts) {
        switch (part, otherPart) {
        case (.capture(let name, let form), .capture(let otherName, let otherForm)) where form == otherForm:
          if !names.contains(where: { $0 == (name, otherName) }) { names.append((name, otherName)) }
        case _ where part == otherPart: continue
        default: return nil
        }
      }
    }
    return names
  }
}
