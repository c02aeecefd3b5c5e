import JSON

/// SARIF 2.1.0, for code scanning: a rule for each code, a result for each finding.
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
