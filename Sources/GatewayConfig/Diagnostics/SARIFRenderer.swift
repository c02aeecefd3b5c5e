import Bytes
import JSON

/// SARIF 2.1.0, for code scanning: one run for all files, a rule for each code, a result for each finding.
///
/// GitHub refuses an upload with several runs of one tool in one category, so all files are one run; each result has the location
/// of its own file.
struct SARIFRenderer {
  func render(_ reports: [FindingReport]) -> String {
    JSON.object([
      .init(key: "$schema", value: .string("https://json.schemastore.org/sarif-2.1.0.json")),
      .init(key: "version", value: .string("2.1.0")),
      .init(key: "runs", value: .array([run(reports)])),
    ]).text + "\n"
  }

  private func run(_ reports: [FindingReport]) -> JSON {
    let findings = reports.flatMap(\.findings)
    let codes = Set(findings.map(\.code)).sorted { $0.rawValue < $1.rawValue }
    let driver = JSON.object([
      .init(key: "name", value: .string("sluice")),
      .init(key: "rules", value: .array(codes.map(rule))),
    ])
    var members: [JSON.Member] = [
      .init(key: "tool", value: .object([.init(key: "driver", value: driver)])),
      .init(key: "automationDetails", value: .object([.init(key: "id", value: .string(category(reports)))])),
      .init(key: "columnKind", value: .string("unicodeCodePoints")),
      .init(key: "results", value: .array(unique(findings.map(result)))),
    ]
    let omissions = reports.compactMap { report in
      report.omission.map { reports.count == 1 ? $0 : "\(report.path): \($0)" }
    }
    if !omissions.isEmpty { members.append(.init(key: "invocations", value: invocation(omissions))) }
    return .object(members)
  }

  /// Each result once, because a file that several others include is read for each of them.
  private func unique(_ results: [JSON]) -> [JSON] {
    var seen: Set<String> = []
    return results.filter { seen.insert($0.text).inserted }
  }

  private static let longestCategory = 200

  /// GitHub's category of the run: the text before the last "/" (SARIF 2.1.0 section 3.17.3). A run for other files has another
  /// category.
  private func category(_ reports: [FindingReport]) -> String {
    let files = reports.map(\.path).joined(separator: ",")
    guard files.utf8.count > Self.longestCategory else { return "sluice/\(files)/" }
    // Runs for many files that begin with the same ones are different runs.
    let digest = "-" + String(Self.digest(files), radix: 16)
    let start = files.utf8.prefix(Self.longestCategory - digest.utf8.count)
    return "sluice/\(String(decoding: start, as: UTF8.self))\(digest)/"
  }

  /// FNV-1a with 64 bits, which is the same in every run.
  private static func digest(_ text: String) -> UInt64 {
    text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }

  /// Notes about the run besides its results (SARIF 2.1.0 section 3.20.21).
  private func invocation(_ texts: [String]) -> JSON {
    let notifications = texts.map { text in
      JSON.object([.init(key: "level", value: .string("note")), .init(key: "message", value: message(text))])
    }
    return .array([
      .object([
        .init(key: "executionSuccessful", value: .bool(true)),
        .init(key: "toolExecutionNotifications", value: .array(notifications)),
      ])
    ])
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
    let artifact = JSON.object([.init(key: "uri", value: .string(range.file.path.percentEncodedPath))])
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
