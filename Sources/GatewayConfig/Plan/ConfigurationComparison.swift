import Routing

/// What another file would change: routes by what they answer, settings outside of them, and what is looser than before.
///
/// Paths are compared on the automata of both files, options by their values, and never texts.
package struct ConfigurationComparison: Sendable {
  /// The names of both files.
  package internal(set) var oldFile: String
  package internal(set) var newFile: String
  /// The same with what is laid over them, for people: `routes.yaml with production.yaml`.
  var oldName: String
  var newName: String
  let files: [FileChange]
  /// All parts, also those that are the same, WebSocket routes first.
  package let routes: [RouteDifference]
  /// The settings outside of routes that differ.
  package let settings: [SettingChange]
  /// What the new file says, and the old one did not say, where the command line of a running gateway goes before it.
  package let withoutEffect: [SettingWithoutEffect]
  package let marks: [SecurityMark]
  /// Whether the tables of routes were compared completely. If not, there are routes whose paths are not proved to be the same.
  package let isComplete: Bool

  /// - Parameter layers: what the channel layers of a running gateway were made for; nil where none runs.
  package init(
    from old: Configuration, to new: Configuration, layers: [String: LayerFeatures]? = nil
  ) {
    withoutEffect = old.newlyWithoutEffect(in: new)
    oldFile = old.file.path
    newFile = new.file.path
    (oldName, newName) = (oldFile, newFile)
    files = FileChange.all(from: old.written?.source.files ?? [], to: new.written?.source.files ?? [])
    let budget = WorkBudget.forAnalyses(of: old.routeCount + new.routeCount)
    let tables = [
      ComparedParts(.webSocket(old), .webSocket(new)), ComparedParts(.http(old), .http(new)),
    ]
    var marks = MarkList()
    routes = tables.flatMap { parts in
      parts.parts.map { part in
        let pair = ComparedPair(parts, part, budget: budget)
        marks.add(pair.marks)
        return pair.difference
      }
    }
    isComplete = tables.allSatisfy(\.isComplete)
    settings =
      old.settingChanges(to: new) + old.layerFeatures(neededBy: new, of: layers)
      + Self.unmatchedChanges(from: old, to: new)
    let origins = Dictionary(uniqueKeysWithValues: tables.map { ($0.new.kind, $0.oldRoutes) })
    let all = Dictionary(uniqueKeysWithValues: tables.map { ($0.new.kind, $0.new.routes) })
    marks.add(
      SharingMarks(
        old: old.served.routeGroups, new: new.served.routeGroups, origins: origins, routes: all
      ).all)
    marks.add(ServerMarks(old, new).all)
    self.marks = marks.all
  }
}

extension ConfigurationComparison {
  /// What clients on paths without a route are told: the settings around the routes, which no route shows.
  private static func unmatchedChanges(from old: Configuration, to new: Configuration) -> [SettingChange] {
    let (known, now) = (old.served.unmatchedHandshakes, new.served.unmatchedHandshakes)
    let rows = [
      ("allowed_hosts", known.origins.text, now.origins.text),
      ("refusals", known.refusals.rawValue, now.refusals.rawValue),
    ]
    return rows.compactMap { key, old, new in
      old == new
        ? nil
        : SettingChange(key: "\(key) of paths without a route", old: old, new: new, need: .reload)
    }
  }
}

extension Configuration {
  fileprivate var routeCount: Int { served.webSocketRoutes.count + served.httpRoutes.count }
}

extension ConfigurationComparison {
  /// The parts in which something is different.
  package var differences: [RouteDifference] { routes.filter { $0.effect != .same } }

  /// Whether both files mean the same.
  package var isEmpty: Bool { differences.isEmpty && settings.isEmpty && marks.isEmpty && isComplete }

  /// Whether a running gateway can take nothing of the file on, because the routes need what it was started without.
  package var isBlocked: Bool { settings.contains(where: \.isBlocking) }

  /// Whether clients that are connected would be closed.
  package var closesSessions: Bool { routes.contains(where: \.closesSessions) }

  /// What a running gateway needs to take the other file on; nil if nothing is different.
  package var need: SettingChange.Need? {
    if settings.contains(where: { $0.need == .upgrade }) { return .upgrade }
    return isEmpty ? nil : .reload
  }
}

/// One part, with everything that is decided about it.
private struct ComparedPair {
  private let parts: ComparedParts
  private let part: ComparedParts.Part
  private let budget: WorkBudget
  private let captures: CaptureComparison?

  init(_ parts: ComparedParts, _ part: ComparedParts.Part, budget: WorkBudget) {
    self.parts = parts
    self.part = part
    self.budget = budget
    captures = part.example.flatMap { example in
      guard part.isProved, part.old != nil, part.new != nil else { return nil }
      return CaptureComparison(
        parts.old.router, parts.new.router,
        .init(old: part.old?.named.index, new: part.new?.named.index, example: example),
        budget: budget.share())
    }
  }

  var difference: RouteDifference {
    var difference = RouteDifference(
      kind: parts.new.kind, old: part.old?.named, new: part.new?.named, example: part.example,
      isProved: part.isProved, effect: .same)
    if let client = part.old?.client {
      let new = part.new?.client
      let change = RouteChange(from: client, to: new)
      difference.outcomes =
        Outcomes(change: change, old: client, new: new, captures: captures, budget: budget).all
    }
    difference.isPart = parts.isOfLastingRoute(part)
    switch (part.old, part.new) {
    case (nil, _): difference.effect = .added
    case (_, nil): difference.effect = .removed
    case (let old?, let new?):
      difference.changes = changes(from: old, to: new)
      let isSame = difference.changes.isEmpty && !difference.outcomes.contains { $0 != .stays }
      difference.effect = parts.isMove(part) ? .moved : isSame ? .same : .changed
    }
    return difference
  }

  private func changes(from old: ComparedTable.Route, to new: ComparedTable.Route) -> [OptionChange] {
    var changes: [OptionChange] = []
    // A route that is called by its path has another name whenever its notation is another one.
    if old.isNamed || new.isNamed, old.named.name != new.named.name, !parts.isMove(part) {
      changes.append(OptionChange("name", old.named.name, new.named.name))
    }
    if let client = old.client, let other = new.client {
      changes += ClientRoute.changes(from: client, to: other, RouteChange(from: client, to: other).options)
    } else if case .http(let route) = old.kind, case .http(let other) = new.kind {
      changes += HTTPRoute.changes(from: route, to: other)
    }
    return changes
  }

  // MARK: - Marks

  var marks: [SecurityMark] {
    guard let new = part.new else { return [] }
    let place = MarkPlace(route: new.named, kind: parts.new.kind, example: part.example)
    var marks: [SecurityMark] = []
    if let old = part.old {
      marks +=
        RouteMarks(old: old, new: new, place: place, capturesAgree: capturesAgree(old, new), budget: budget)
        .all
    }
    if let publish = new.publish {
      marks +=
        PublishMarks(
          old: part.old?.publish, new: publish, hadUsers: part.old?.auth != nil, hasUsers: new.auth != nil,
          place: place, budget: budget
        ).all
    }
    return marks
  }

  /// Whether rules about captures mean the same.
  private func capturesAgree(_ old: ComparedTable.Route, _ new: ComparedTable.Route) -> Bool {
    let rules = (old.auth?.requirements ?? []) + (new.auth?.requirements ?? [])
    let names = rules.flatMap(\.captureNames).unique.map { (old: $0, new: $0) }
    return names.isEmpty || captures?.agreement(on: names) == .same
  }
}
