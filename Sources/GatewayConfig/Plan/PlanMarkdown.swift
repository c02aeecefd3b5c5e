import Bytes

/// A plan for a pull request. Everything from the files stands in code spans, so that nothing of it is taken for Markdown or a mention.
struct PlanMarkdown {
  let plan: Plan

  private var comparison: ConfigurationComparison { plan.comparison }

  var text: String {
    var text = "### Sluice: \(code(comparison.oldName)) → \(code(comparison.newName))\n\n"
    text += conclusion + "\n"
    if !comparison.marks.isEmpty {
      text += "\n**Looser than before**\n\n"
      text += comparison.marks.map { "- **\($0.kind.rawValue)** \(code($0.sentence))\n" }.joined()
    }
    if !comparison.differences.isEmpty {
      text += "\n| | protocol | route | for example | what |\n|---|---|---|---|---|\n"
      text += comparison.differences.map(row).joined()
    }
    if !comparison.settings.isEmpty || !comparison.withoutEffect.isEmpty {
      text += "\n| setting | before | after | needs |\n|---|---|---|---|\n"
      text += comparison.settings.map {
        "| \(cell($0.key)) | \(cell($0.old)) | \(cell($0.new)) | \($0.need.words) |\n"
      }.joined()
      text += comparison.withoutEffect.map {
        "| \(cell($0.key)) | | \(cell($0.value)) | \(SettingWithoutEffect.words), because of \(cell($0.option)) |\n"
      }.joined()
    }
    let files = comparison.files.filter { $0.effect != .same }
    if comparison.files.count > 1, !files.isEmpty {
      text += "\n" + files.prefix(20).map { "- file \($0.effect.rawValue): \(code($0.text))\n" }.joined()
    }
    return text + "\n" + end
  }

  private var conclusion: String {
    var sentences: [String] = []
    let closing = comparison.routes.count(where: \.closesSessions)
    if comparison.isEmpty { return "Nothing changes: both mean the same." }
    sentences.append(comparison.counts.prefix(1).uppercased() + comparison.counts.dropFirst() + ".")
    if closing > 0, plan.refusal == nil {
      sentences.append("**Clients of \(closing) of them may be closed.**")
    }
    if !comparison.isComplete {
      let words = ConfigurationComparison.notProved
      sentences.append(words.prefix(1).uppercased() + words.dropFirst() + ".")
    }
    return sentences.joined(separator: " ")
  }

  private func row(_ difference: RouteDifference) -> String {
    var what = difference.changes.map(\.text) + difference.endings
    if !difference.isProved { what.append("not proved") }
    let example = difference.shownExample.map(cell) ?? ""
    var words = what.map(cell).joined(separator: "<br>")
    if difference.isPart { words = "some of its paths" + (words.isEmpty ? "" : "<br>" + words) }
    return
      "| \(difference.effect.word) | \(difference.kind.key) | \(cell(difference.title)) | \(example) | \(words) |\n"
  }

  private var end: String {
    let bound = plan.boundWords.map { $0.prefix(1).uppercased() + $0.dropFirst() + ".\n\n" } ?? ""
    return bound + clients
  }

  private var clients: String {
    var parts = plan.refusal.map { ["**A reload is refused:** \(code($0))"] } ?? []
    if let clients = plan.clients, let counts = plan.clientCounts {
      let closes = clients.sortedCloses.map { "\($0.count) with \($0.end.code) (\($0.end.rawValue))" }
      parts.append(counts + (closes.isEmpty ? "" : ": " + closes.joined(separator: ", ")))
    }
    parts.append("<sub>plan \(code(plan.id))</sub>")
    return parts.joined(separator: "\n\n") + "\n"
  }

  /// A code span. A backtick cannot stand in one that is fenced by one.
  private func code(_ text: String) -> String {
    "`\(text.printable.replacing("`", with: "'"))`"
  }

  /// A code span in a table, where a bar would end the cell.
  private func cell(_ text: String) -> String {
    text.isEmpty ? "" : code(text).replacing("|", with: "\\|")
  }
}
