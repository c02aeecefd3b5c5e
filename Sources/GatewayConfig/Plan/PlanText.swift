import Bytes

/// A plan for people, in the voice of `validate`.
struct PlanText {
  let plan: Plan

  private var comparison: ConfigurationComparison { plan.comparison }

  var text: String {
    var sections = [head]
    if comparison.files.count > 1 { sections.append("files\n" + files) }
    let differences = comparison.differences
    if !differences.isEmpty { sections.append("routes\n" + differences.map(paragraph).joined()) }
    if !comparison.settings.isEmpty || !comparison.withoutEffect.isEmpty {
      sections.append("settings\n" + settings)
    }
    if !comparison.marks.isEmpty {
      sections.append("looser than before\n" + comparison.marks.map(line).joined())
    }
    sections.append(summary)
    return sections.joined(separator: "\n")
  }

  private var head: String {
    "\(comparison.oldName.printable) -> \(comparison.newName.printable), plan \(plan.id)\n"
  }

  private func paragraph(_ difference: RouteDifference) -> String {
    let kind = difference.kind.key
    var text =
      "  \(difference.effect.word.padded(to: 8)) \(kind.padded(to: 9)) \(difference.title.printable)\n"
    func add(_ line: String) { text += "    \(line.printable)\n" }
    if let example = difference.shownExample {
      add(difference.isPart ? "some of its paths, for example \(example)" : "at \(example)")
    }
    if !difference.isProved { add("not proved: the table is too large, and the routes have the same name") }
    for change in difference.changes { add(change.text) }
    for ending in difference.endings { add(ending) }
    return text
  }

  /// More are only printed as JSON; those that differ come first.
  private static let mostFiles = 20

  private var files: String {
    let changed = comparison.files.filter { $0.effect != .same }
    let shown = changed + comparison.files.filter { $0.effect == .same }
    let lines = shown.prefix(Self.mostFiles).map { file in
      "  \(file.effect.rawValue.padded(to: 8)) \(file.text)".printable + "\n"
    }
    let left = shown.count - lines.count
    return lines.joined() + (left > 0 ? "  and \(left) more\n" : "")
  }

  private var settings: String {
    let rows =
      comparison.settings.map { ($0.need.words, $0.text) }
      + comparison.withoutEffect.map { (SettingWithoutEffect.words, $0.text) }
    let width = rows.map(\.0.count).max() ?? 0
    return rows.map { words, text in "  \(words.padded(to: width))  \(text)".printable + "\n" }.joined()
  }

  private func line(_ mark: SecurityMark) -> String {
    "  \(mark.kind.rawValue): \(mark.sentence)".printable + "\n"
  }

  private var summary: String {
    var lines = [comparison.counts]
    if !comparison.isComplete { lines.append(ConfigurationComparison.notProved) }
    if let clients = plan.clients, let counts = plan.clientCounts {
      lines.append(counts)
      lines += clients.sortedCloses.map { "  \($0.count) with \($0.end.code): \($0.end.rawValue)" }
    }
    if plan.clients != nil || plan.refusal != nil { lines.append(Self.environment) }
    lines.append(plan.refusal.map { "a reload is refused: \($0)".printable } ?? conclusion)
    if let bound = plan.boundWords { lines.append(bound) }
    return lines.joined(separator: "\n") + "\n"
  }

  private static let environment = "values from the environment are those of the gateway's start"

  private var conclusion: String {
    switch comparison.need {
    case nil where comparison.isEmpty: "nothing to do: both mean the same"
    case nil: "nothing to do"
    case .reload: "a reload takes everything on"
    case .upgrade where comparison.isBlocked:
      "a reload refuses the file, which needs \(SettingChange.Need.upgrade.words)"
    case .upgrade: rest
    }
  }

  /// What a reload leaves as it is.
  private var rest: String {
    let keys = comparison.settings.filter { $0.need == .upgrade }.map(\.key)
    let words =
      "\(keys.joined(separator: ", ")), which \(keys.count == 1 ? "needs" : "need") \(SettingChange.Need.upgrade.words)"
    return "a reload takes on everything but \(words)"
  }
}

extension SettingChange {
  /// `limits.connections: 1000 -> none`
  var text: String { "\(key): \(old) -> \(new)" }
}

extension String {
  fileprivate func padded(to width: Int) -> String {
    count < width ? self + String(repeating: " ", count: width - count) : self
  }
}
