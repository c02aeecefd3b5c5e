import Bytes
import JSON

extension EffectiveConfiguration {
  /// As YAML, with the origin of each value as a comment. Where nothing is left out, it is the same configuration in one file.
  package var yaml: String {
    var page = YAMLPage()
    if case .mapping(let entries) = root.content { page.add(entries, indent: 0) }
    let kept = written.kept.map { "# \($0) is that of the start, until the process starts anew\n" }
    return "# \(written.name.printable), as it is in force\n" + kept.joined() + page.text
  }
}

/// Lines of YAML with comments in one column.
private struct YAMLPage {
  private var lines: [(text: String, comment: String)] = []
  private static let widest = 64

  var text: String {
    let widths = lines.filter { !$0.comment.isEmpty }.map(\.text.count)
    let column = widths.filter { $0 <= Self.widest }.max() ?? 0
    return lines.map { line in
      guard !line.comment.isEmpty else { return line.text + "\n" }
      return line.text + String(repeating: " ", count: max(0, column - line.text.count))
        + "  # \(line.comment)\n"
    }.joined()
  }

  mutating func add(_ entries: [(key: String, value: EffectiveValue)], indent: Int) {
    for (key, value) in entries {
      let start = Self.blanks(indent) + Self.written(key, isPlain: true, inFlow: false) + ":"
      switch value.content {
      case .words(let words): lines.append((Self.blanks(indent) + "# \(key): \(words.printable)", ""))
      case .mapping(let inner) where !inner.isEmpty:
        lines.append((start, ""))
        add(inner, indent: indent + 2)
      case .list(let items) where Self.inline(value) == nil:
        lines.append((start, ""))
        add(items, indent: indent + 2)
      case .scalar, .list, .mapping: add(value, behind: start)
      }
    }
  }

  private mutating func add(_ items: [EffectiveValue], indent: Int) {
    for item in items {
      let first = lines.count
      switch item.content {
      case .mapping(let entries) where !entries.isEmpty: add(entries, indent: indent + 2)
      case .list(let inner) where Self.inline(item) == nil: add(inner, indent: indent + 2)
      case .scalar, .list, .mapping, .words:
        add(item, behind: Self.blanks(indent) + "-")
        continue
      }
      lines[first].text = Self.blanks(indent) + "- " + lines[first].text.dropFirst(indent + 2)
    }
  }

  /// Adds a value that stands in one line.
  private mutating func add(_ value: EffectiveValue, behind start: String) {
    var text = start
    var comment = value.comment
    switch value.content {
    case .scalar(let scalar):
      let written = Self.written(scalar, inFlow: false)
      if !written.isEmpty { text += " " + written }
    case .list(let items):
      text += " " + (Self.inline(value) ?? "[]")
      comment = items.first?.comment ?? comment
    case .mapping, .words: text += " {}"
    }
    lines.append((text, comment))
  }

  /// A short list of single values with one origin; nil for any other.
  private static func inline(_ value: EffectiveValue) -> String? {
    guard case .list(let items) = value.content, Set(items.map(\.comment)).count <= 1 else { return nil }
    let texts = items.compactMap { item in
      if case .scalar(let scalar) = item.content { written(scalar, inFlow: true) } else { nil }
    }
    let text = "[\(texts.joined(separator: ", "))]"
    return texts.count == items.count && !texts.contains("") && text.count <= widest ? text : nil
  }

  private static func blanks(_ count: Int) -> String { String(repeating: " ", count: count) }

  // MARK: - Single values

  private static func written(_ scalar: EffectiveScalar, inFlow: Bool) -> String {
    scalar.concealed == .value
      ? "\"\(scalar.text)\"" : written(scalar.text, isPlain: scalar.isPlain, inFlow: inFlow)
  }

  private static func written(_ text: String, isPlain: Bool, inFlow: Bool) -> String {
    if isPlain, text.isEmpty ? !inFlow : isSafe(text, inFlow: inFlow) { return text }
    guard text.unicodeScalars.allSatisfy({ !$0.isInvisible && $0 != "\t" }) else {
      // In double quotes a variable would be replaced.
      return JSON.string(text).text.replacing("${", with: "$${")
    }
    return "'\(text.replacing("'", with: "''"))'"
  }

  /// Whether YAML reads the text as itself where it stands without quotes.
  private static func isSafe(_ text: String, inFlow: Bool) -> Bool {
    guard let first = text.unicodeScalars.first, let last = text.unicodeScalars.last else { return false }
    let isBegun =
      first == "-"
      ? text.count > 1 && text.dropFirst().first != " "
      : !"?:,[]{}#&*!|>'\"%@` ".unicodeScalars.contains(first)
    return isBegun && last != ":" && last != " " && !text.contains(": ") && !text.contains(" #")
      && !text.contains("${") && !text.hasPrefix("---") && !text.hasPrefix("...")
      && text.unicodeScalars.allSatisfy { !$0.isInvisible && $0 != "\t" }
      && !(inFlow && text.contains { ",[]{}:".contains($0) })
  }
}

extension EffectiveValue {
  /// `production.yaml:12`
  var comment: String {
    var text =
      switch origin {
      case .place(let range): "\(range.file.path.printable):\(range.start.line)"
      case .standard: "default"
      case .option(let name): name
      }
    guard case .scalar(let scalar) = content else { return text }
    if let variable = scalar.variable {
      text +=
        variable.isDefault
        ? ", the default of ${\(variable.variable)}" : ", ${\(variable.variable)} of the environment"
    }
    switch scalar.concealed {
    case .nothing: break
    case .part: text += ", its password is not shown"
    case .whole, .value: text += ", not shown"
    }
    return text
  }
}
