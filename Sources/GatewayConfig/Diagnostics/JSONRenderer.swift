import JSON

/// Renders one object with all findings, for scripts: `{file, errors, warnings, findings}`. For several files it is `{errors,
/// warnings, files: [...]}` with such an object for each. If there are too many findings, `notShown` says how many are missing;
/// `errors` and `warnings` count all.
struct JSONRenderer {
  func render(_ reports: [FindingReport]) -> String {
    if reports.count == 1 { return json(reports[0]).text + "\n" }
    let all: JSON = [
      "errors": .number(reports.reduce(0) { $0 + $1.errorCount }),
      "warnings": .number(reports.reduce(0) { $0 + $1.warningCount }), "files": .array(reports.map(json)),
    ]
    return all.text + "\n"
  }

  private func json(_ report: FindingReport) -> JSON {
    var json: JSON = [
      "file": .string(report.path), "errors": .number(report.errorCount),
      "warnings": .number(report.warningCount), "findings": .array(report.findings.map(finding)),
    ]
    if report.omitted.count > 0 { json = json.with(["notShown": .number(report.omitted.count)]) }
    return report.groups.map { json.with(["groups": $0.json]) } ?? json
  }

  private func finding(_ finding: Finding) -> JSON {
    let head: JSON = [
      "severity": .string(finding.severity.rawValue), "code": .string(finding.code.rawValue),
      "message": .string(finding.message), "hint": finding.hint.map(JSON.string) ?? .null,
    ]
    let related = finding.related.map { related in
      let message: JSON = ["message": .string(related.value)]
      return message.with(place(related.range))
    }
    return head.with(finding.range.map(place) ?? [:]).with(["related": .array(related)])
  }

  private func place(_ range: SourceRange) -> JSON {
    [
      "path": .string(range.file.path), "line": .number(range.start.line),
      "column": .number(range.start.column),
      "endLine": .number(range.end.line), "endColumn": .number(range.end.column),
    ]
  }
}
