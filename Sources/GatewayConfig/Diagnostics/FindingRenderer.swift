import JSON

/// The forms in which findings are printed.
package enum FindingFormat: String, Sendable, CaseIterable {
  /// For people.
  case text
  case json
  /// SARIF 2.1.0, for code-scanning tools.
  case sarif
  /// Annotations of GitHub's workflow log.
  case github
}

/// Findings in the order in which they are read: by file, by place, each once.
package struct FindingReport: Sendable {
  /// The file named on the command line.
  package let path: String
  package let findings: [Finding]

  package init(path: String, findings: [Finding]) {
    self.path = path
    var seen: Set<Finding> = []
    self.findings = findings.filter { seen.insert($0).inserted }.sorted { Self.key($0) < Self.key($1) }
  }

  private static func key(_ finding: Finding) -> (String, Int, Int, String) {
    (
      finding.range?.file.path ?? "", finding.range?.start.line ?? 0, finding.range?.start.column ?? 0,
      finding.message
    )
  }

  package var errorCount: Int { findings.count { $0.severity == .error } }
  package var warningCount: Int { findings.count { $0.severity == .warning } }

  /// `1 error, 0 warnings in routes.yaml`
  package var summary: String {
    "\(Self.count(errorCount, "error")), \(Self.count(warningCount, "warning")) in \(path)"
  }

  private static func count(_ number: Int, _ noun: String) -> String {
    "\(number) \(noun)\(number == 1 ? "" : "s")"
  }

  package func rendered(_ format: FindingFormat) -> String {
    switch format {
    case .text: TextRenderer().render(self)
    case .json: JSONRenderer().render(self)
    case .sarif: SARIFRenderer().render(self)
    case .github: GitHubRenderer().render(self)
    }
  }
}

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

struct JSONRenderer {
  func render(_ report: FindingReport) -> String {
    JSON.object([
      .init(key: "file", value: .string(report.path)),
      .init(key: "errors", value: .integer(Int64(report.errorCount))),
      .init(key: "warnings", value: .integer(Int64(report.warningCount))),
      .init(key: "findings", value: .array(report.findings.map(finding))),
    ]).text + "\n"
  }

  private func finding(_ finding: Finding) -> JSON {
    var members: [JSON.Member] = [
      .init(key: "severity", value: .string(finding.severity.rawValue)),
      .init(key: "code", value: .string(finding.code.rawValue)),
      .init(key: "message", value: .string(finding.message)),
      .init(key: "hint", value: finding.hint.map(JSON.string) ?? .null),
    ]
    if let range = finding.range { members += place(range) }
    members.append(
      .init(
        key: "related",
        value: .array(
          finding.related.map { related in
            .object([.init(key: "message", value: .string(related.message))] + place(related.range))
          })))
    return .object(members)
  }

  private func place(_ range: SourceRange) -> [JSON.Member] {
    [
      .init(key: "path", value: .string(range.file.path)),
      .init(key: "line", value: .integer(Int64(range.start.line))),
      .init(key: "column", value: .integer(Int64(range.start.column))),
      .init(key: "endLine", value: .integer(Int64(range.end.line))),
      .init(key: "endColumn", value: .integer(Int64(range.end.column))),
    ]
  }
}

struct SARIFRenderer {
  func render(_ report: FindingReport) -> String {
    let codes = Set(report.findings.map(\.code)).sorted { $0.rawValue < $1.rawValue }
    let driver = JSON.object([
      .init(key: "name", value: .string("sluice")),
      .init(key: "rules", value: .array(codes.map(rule))),
    ])
    let run = JSON.object([
      .init(key: "tool", value: .object([.init(key: "driver", value: driver)])),
      .init(key: "columnKind", value: .string("unicodeCodePoints")),
      .init(key: "results", value: .array(report.findings.map(result))),
    ])
    return JSON.object([
      .init(key: "$schema", value: .string("https://json.schemastore.org/sarif-2.1.0.json")),
      .init(key: "version", value: .string("2.1.0")),
      .init(key: "runs", value: .array([run])),
    ]).text + "\n"
  }

  private func rule(_ code: FindingCode) -> JSON {
    .object([
      .init(key: "id", value: .string(code.rawValue)),
      .init(key: "shortDescription", value: message(code.summary)),
    ])
  }

  private func result(_ finding: Finding) -> JSON {
    let text = finding.message + (finding.hint.map { ": \($0)" } ?? "")
    return .object([
      .init(key: "ruleId", value: .string(finding.code.rawValue)),
      .init(key: "level", value: .string(finding.severity.rawValue)),
      .init(key: "message", value: message(text)),
      .init(key: "locations", value: .array(finding.range.map { [location($0, nil)] } ?? [])),
      .init(key: "relatedLocations", value: .array(finding.related.map { location($0.range, $0.message) })),
    ])
  }

  private func location(_ range: SourceRange, _ text: String?) -> JSON {
    let region = JSON.object([
      .init(key: "startLine", value: .integer(Int64(range.start.line))),
      .init(key: "startColumn", value: .integer(Int64(range.start.column))),
      .init(key: "endLine", value: .integer(Int64(range.end.line))),
      .init(key: "endColumn", value: .integer(Int64(range.end.column))),
    ])
    let artifact = JSON.object([.init(key: "uri", value: .string(range.file.path))])
    var members: [JSON.Member] = [
      .init(
        key: "physicalLocation",
        value: .object([.init(key: "artifactLocation", value: artifact), .init(key: "region", value: region)])
      )
    ]
    if let text { members.append(.init(key: "message", value: message(text))) }
    return .object(members)
  }

  private func message(_ text: String) -> JSON {
    .object([.init(key: "text", value: .string(text))])
  }
}

struct GitHubRenderer {
  func render(_ report: FindingReport) -> String {
    report.findings.map { line($0) + "\n" }.joined()
  }

  private func line(_ finding: Finding) -> String {
    let command =
      switch finding.severity {
      case .error: "error"
      case .warning: "warning"
      case .note: "notice"
      }
    var properties: [String] = []
    if let range = finding.range {
      properties.append("file=\(escaped(range.file.path, inProperty: true))")
      properties.append("line=\(range.start.line),col=\(range.start.column)")
      if range.end.line == range.start.line { properties.append("endColumn=\(range.end.column)") }
    }
    properties.append("title=\(finding.code.rawValue)")
    let text = finding.message + (finding.hint.map { ": \($0)" } ?? "")
    return "::\(command) \(properties.joined(separator: ","))::\(escaped(text, inProperty: false))"
  }

  /// What GitHub's runner takes back from `%25` and the like.
  private func escaped(_ text: String, inProperty: Bool) -> String {
    var result = ""
    for character in text {
      switch character {
      case "%": result += "%25"
      case "\r": result += "%0D"
      case "\n": result += "%0A"
      case ":" where inProperty: result += "%3A"
      case "," where inProperty: result += "%2C"
      default: result.append(character)
      }
    }
    return result
  }
}

extension JSON {
  fileprivate var text: String {
    var bytes: [UInt8] = []
    append(to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }
}
