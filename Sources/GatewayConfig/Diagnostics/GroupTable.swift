import Bytes
import JSON
import Routing

/// The groups that each route can reach, the clients that can reach them, and the other routes with the same groups: the output
/// of `validate --groups`.
package struct GroupTable: Sendable {
  private struct Row: Sendable {
    var groups: RouteGroups
    /// The first groups of other routes that have names in common, and how many there are.
    var neighbours: [Encounter]
    var count: Int
  }

  private let rows: [Row]

  package init(_ groups: [RouteGroups]) {
    let analysis = IsolationAnalysis(groups.map(\.use), budget: .forAnalyses(of: groups.count))
    rows = zip(groups, analysis.neighbours()).map {
      Row(groups: $0, neighbours: $1.encounters, count: $1.count)
    }
  }

  // MARK: - For people

  private static let width = 100

  /// A section for each channel layer, with a paragraph for each route.
  package var text: String {
    guard !rows.isEmpty else { return "no route has a group\n" }
    var text = ""
    for layer in rows.map(\.groups.use.layer).unique {
      text += (text.isEmpty ? "" : "\n") + title(layer)
      var last: RouteGroups?
      for row in rows where row.groups.use.layer == layer {
        if last?.isOfSameRoute(as: row.groups) != true { text += head(row.groups) }
        last = row.groups
        text += paragraph(row)
      }
    }
    return text
  }

  /// Names all aliases that lead to the same groups.
  private func title(_ layer: String) -> String {
    let aliases = rows.map(\.groups).filter { $0.use.layer == layer }.map(\.layer).unique
    return aliases.count == 1
      ? "channel layer \(aliases[0].printable)\n"
      : "channel layers \(aliases.joined(separator: ", ").printable), which lead to the same groups\n"
  }

  private func head(_ groups: RouteGroups) -> String {
    let place = "\(groups.range.file.path.printable):\(groups.range.start.line)"
    let path = "  \(groups.path.printable)"
    let gap = Self.width - path.count - place.count
    return "\n" + (gap > 1 ? path + String(repeating: " ", count: gap) + place : "\(path)\n    \(place)")
      + "\n"
  }

  private func paragraph(_ row: Row) -> String {
    let own = row.groups
    var facts = [own.use.access.words, own.use.audience.shortWords]
    if own.key == .subscribe { facts[0] = "may subscribe" }
    if own.key == .view {
      facts[0] = "a view may \(own.use.access.writes ? "join and publish to" : "name") it"
    }
    if own.use.isShared { facts.append("shared") }
    var text = Self.wrapped("\(own.use.pattern.text): \(facts.joined(separator: ", "))", indent: 4)
    for encounter in row.neighbours { text += line(encounter) }
    let more = row.count - row.neighbours.count
    if more > 0 { text += Self.wrapped("and \(more) more", indent: 6) }
    return text
  }

  private func line(_ encounter: Encounter) -> String {
    let other = rows[encounter.other].groups
    var text =
      "with \(other.path) (\(other.use.pattern.text): \(other.use.access.words), \(other.use.audience.shortWords))"
    guard let example = encounter.example else { return Self.wrapped(text + ", not decided", indent: 6) }
    text += " in \"\(example.name)\""
    switch (example.path, example.otherPath) {
    case (let path?, let otherPath?): text += ", by /\(path) and /\(otherPath)"
    default: text += ", though Sluice found no path that leads to it"
    }
    return Self.wrapped(text, indent: 6)
  }

  /// Wraps the text to lines of at most `width` columns, if the words allow it. Later lines are indented further.
  private static func wrapped(_ text: String, indent: Int) -> String {
    var lines: [String] = []
    var line = String(repeating: " ", count: indent)
    var isEmpty = true
    for word in text.printable.split(separator: " ") {
      if !isEmpty, line.count + 1 + word.count > width {
        lines.append(line)
        line = String(repeating: " ", count: indent + 4)
        isEmpty = true
      }
      line += (isEmpty ? "" : " ") + word
      isEmpty = false
    }
    return (lines + [line]).joined(separator: "\n") + "\n"
  }

  // MARK: - For programs

  var json: JSON { .array(rows.map(json)) }

  private func json(_ row: Row) -> JSON {
    let use = row.groups.use
    return place(row.groups).with([
      "reads": .bool(use.access.reads), "writes": .bool(use.access.writes), "who": use.audience.json,
      "shared": .bool(use.isShared), "meets": .array(row.neighbours.map(json)),
      "meetsCount": .number(row.count),
    ])
  }

  private func json(_ encounter: Encounter) -> JSON {
    func path(_ path: String?) -> JSON { path.map { .string("/" + $0) } ?? .null }
    let example = encounter.example
    return place(rows[encounter.other].groups).with([
      "name": example.map { .string($0.name) } ?? .null, "by": path(example?.path),
      "otherBy": path(example?.otherPath),
    ])
  }

  private func place(_ groups: RouteGroups) -> JSON {
    [
      "layer": .string(groups.layer), "protocol": .string(groups.kind.key), "route": .string(groups.path),
      "path": .string(groups.range.file.path), "line": .number(groups.range.start.line),
      "key": .string(groups.key.rawValue), "group": .string(groups.use.pattern.text),
    ]
  }
}

extension RouteGroups {
  fileprivate func isOfSameRoute(as other: RouteGroups) -> Bool {
    kind == other.kind && use.route == other.use.route
  }
}

extension AdmittedClients {
  /// For tables: `site with role = staff`.
  fileprivate var shortWords: String {
    switch self {
    case .everyone: "everybody"
    case .tokenHolder: "token"
    case .authenticated(let name, let require, let also):
      require.isEmpty && also.isEmpty ? "auth \(name)" : "auth \(name) with \(Self.words(require, also))"
    }
  }

  fileprivate var json: JSON {
    switch self {
    case .everyone: return ["audience": "everybody"]
    case .tokenHolder: return ["audience": "token"]
    case .authenticated(let name, let require, let also):
      let claims = require.sorted { $0.key.text < $1.key.text }.map { claim, values in
        JSON.Member(key: claim.text, value: .array(values.map(\.text).sorted().map(JSON.string)))
      }
      let own: JSON = ["audience": "auth", "auth": .string(name), "require": .object(claims)]
      return also.isEmpty
        ? own : own.with(["also": .array(also.map(\.description).sorted().map(JSON.string))])
    }
  }
}
