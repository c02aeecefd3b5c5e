import JSON

/// Renders one object with all findings, for scripts: `{file, errors, warnings, findings}`. For several files it is `{errors,
/// warnings, files: [...]}` with such an object for each. If there are too many findings, `notShown` says how many are missing;
/// `errors` and `warnings` count all.
struct JSONRenderer {
  func render(_ reports: [FindingReport]) -> String {
    if reports.count == 1 { return json(reports[0]).text + "\n" }
    return JSON.object([
      .init(key: "errors", value: .integer(Int64(reports.reduce(0) { $0 + $1.errorCount }))),
      .init(key: "warnings", value: .integer(Int64(reports.reduce(0) { $0 + $1.warningCount }))),
      .init(key: "files", value: .array(reports.map(json))),
    ]).text + "\n"
  }

  private func json(_ report: FindingReport) -> JSON {
    var members: [JSON.Member] = [
      .init(key: "file", value: .string(report.path)),
      .init(key: "errors", value: .integer(Int64(report.errorCount))),
      .init(key: "warnings", value: .integer(Int64(report.warningCount))),
      .init(key: "findings", value: .array(report.findings.map(finding))),
    ]
    if report.omitted.count > 0 {
      members.append(.init(key: "notShown", value: .integer(Int64(report.omitted.count))))
    }
    if let groups = report.groups { members.append(.init(key: "groups", value: groups.json)) }
    return .object(members)
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

extension JSON {
  var text: String {
    var bytes: [UInt8] = []
    append(to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }
}
