import Bytes

/// For people: the line, carets under it, and what to do.
///
/// ```
/// error[unknown-key]: unknown key "consumr" in a websocket route
///   --> routes.yaml:14:9
///    |
/// 14 |         consumr: chat
///    |         ^^^^^^^ did you mean "consumer"?
/// ```
///
/// A line with a secret in it is not shown, whatever the finding about it. Of a long line only a part is.
struct TextRenderer {
  /// The lines that contain secrets, by file.
  private var secretLines: [ObjectIdentifier: Set<Int>] = [:]

  func render(_ report: FindingReport) -> String {
    var renderer = self
    for range in report.omitted.secrets {
      let lines = range.start.line...range.end.line
      renderer.secretLines[ObjectIdentifier(range.file), default: []].formUnion(lines)
    }
    let omission = report.omission.map { "\($0)\n\n" } ?? ""
    return report.findings.map { renderer.text($0) + "\n\n" }.joined() + omission
      + report.summary.printable + "\n"
  }

  private func text(_ finding: Finding) -> String {
    var lines = ["\(finding.severity.rawValue)[\(finding.code.rawValue)]: \(finding.message.printable)"]
    let hint = finding.hint?.printable
    if let range = finding.range {
      lines += excerpt(range, label: hint)
    } else if let hint {
      lines.append("  = \(hint)")
    }
    for related in finding.related { lines += excerpt(related.range, label: related.value.printable) }
    return lines.joined(separator: "\n")
  }

  private func excerpt(_ range: SourceRange, label: String?) -> [String] {
    let number = String(range.start.line)
    let margin = String(repeating: " ", count: number.count)
    let path = range.file.path.printable
    let arrow = "\(margin)--> \(path):\(range.start.line):\(range.start.column)"
    let isSecret = secretLines[ObjectIdentifier(range.file)]?.contains(range.start.line) ?? false
    guard !isSecret, (1...range.file.lineStarts.count).contains(range.start.line) else {
      return [arrow] + (label.map { ["\(margin) = \($0)"] } ?? [])
    }
    let excerpt = LineExcerpt(
      range.start.line, of: range.file, from: range.start.column,
      to: range.isInOneLine ? range.end.column : nil)
    let pointer = excerpt.carets + (label.map { " \($0)" } ?? "")
    return [arrow, "\(margin) |", "\(number) | \(excerpt.text)", "\(margin) | \(pointer)"]
  }
}

/// A line and the carets below it; for a long line, the part around the carets.
private struct LineExcerpt {
  /// Wider than any line written by hand.
  private static let widest = 160
  private static let before = 40

  let text: String
  let carets: String

  /// - Parameter end: the column after the last caret; nil if it is in another line.
  ///
  /// Only the shown part is examined, however long the line is.
  init(_ number: Int, of file: SourceFile, from start: Int, to end: Int?) {
    let width = file.characterCount(ofLine: number)
    let first = min(start, width + 1) - 1
    let last = max(first + 1, min(end ?? .max, width + 1) - 1)
    guard width > Self.widest else {
      text = Self.shown(file.text(ofLine: number, 0..<width))
      carets = Self.repeated(" ", first) + Self.repeated("^", last - first)
      return
    }
    let from = max(0, min(first - Self.before, width - Self.widest))
    let to = min(width, from + Self.widest)
    let mark = "\u{2026}"
    let shown = Self.shown(file.text(ofLine: number, from..<to))
    text = (from > 0 ? mark : "") + shown + (to < width ? mark : "")
    let indent = first - from + (from > 0 ? 1 : 0)
    carets = Self.repeated(" ", indent) + Self.repeated("^", max(1, min(last, to) - first))
  }

  /// Each character stays one column wide, so that the carets are below the right characters.
  private static func shown(_ line: String) -> String {
    var text = String.UnicodeScalarView()
    for scalar in line.unicodeScalars {
      text.append(scalar == "\t" ? " " : scalar.isInvisible ? "\u{FFFD}" : scalar)
    }
    return String(text)
  }

  private static func repeated(_ character: Character, _ count: Int) -> String {
    String(repeating: character, count: count)
  }
}
