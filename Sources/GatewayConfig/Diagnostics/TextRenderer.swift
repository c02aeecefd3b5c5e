/// For people: the line, carets under it, and what to do.
///
/// ```
/// error[unknown-key]: unknown key "consumr" in a websocket route
///   --> routes.yaml:14:9
///    |
/// 14 |         consumr: chat
///    |         ^^^^^^^ did you mean "consumer"?
/// ```
struct TextRenderer {
  func render(_ report: FindingReport) -> String {
    report.findings.map { render($0) + "\n\n" }.joined() + report.summary + "\n"
  }

  func render(_ finding: Finding) -> String {
    var lines = ["\(finding.severity.rawValue)[\(finding.code.rawValue)]: \(finding.message)"]
    if let range = finding.range {
      lines += excerpt(range, label: finding.hint)
    } else if let hint = finding.hint {
      lines.append("  = \(hint)")
    }
    for related in finding.related {
      lines += excerpt(related.range, label: related.message)
    }
    return lines.joined(separator: "\n")
  }

  private func excerpt(_ range: SourceRange, label: String?) -> [String] {
    let number = String(range.start.line)
    let margin = String(repeating: " ", count: number.count)
    let arrow = "\(margin)--> \(range.file.path):\(range.start.line):\(range.start.column)"
    guard let line = range.file.line(range.start.line) else { return [arrow] }
    // A tab stays one column wide, so that the carets stand where the characters do.
    let shown = String(line.map { $0 == "\t" ? " " : $0 })
    let width = shown.unicodeScalars.count
    let start = min(range.start.column, width + 1)
    let end = range.end.line == range.start.line ? range.end.column : width + 1
    let carets = String(repeating: "^", count: max(1, min(end, width + 1) - start))
    let pointer = String(repeating: " ", count: start - 1) + carets + (label.map { " \($0)" } ?? "")
    return [arrow, "\(margin) |", "\(number) | \(shown)", "\(margin) | \(pointer)"]
  }
}

extension SourceFile {
  /// The text of a line, without its end.
  package func line(_ number: Int) -> String? {
    guard number >= 1, number <= lineStarts.count else { return nil }
    let line = text[lineStarts[number - 1]...].prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
    return String(decoding: line, as: UTF8.self)
  }
}
