import Bytes
import JSON

/// SARIF 2.1.0, for code scanning: one run for all files, a rule for each code, a result for each finding.
///
/// GitHub refuses an upload with several runs of one tool in one category, so all files are one run; each result has the location
/// of its own file.
struct SARIFRenderer {
  func render(_ reports: [FindingReport]) -> String {
    let log: JSON = [
      "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
      "runs": [run(reports)],
    ]
    return log.text + "\n"
  }

  private func run(_ reports: [FindingReport]) -> JSON {
    let findings = reports.flatMap(\.findings)
    let codes = Set(findings.map(\.code)).sorted { $0.rawValue < $1.rawValue }
    let run: JSON = [
      "tool": ["driver": ["name": "sluice", "rules": .array(codes.map(rule))]],
      "automationDetails": ["id": .string(category(reports))], "columnKind": "unicodeCodePoints",
      // Each result once, because a file that several others include is read for each of them.
      "results": .array(findings.map(result).unique),
    ]
    let omissions = reports.compactMap { report in
      report.omission.map { reports.count == 1 ? $0 : "\(report.path): \($0)" }
    }
    return omissions.isEmpty ? run : run.with(["invocations": invocation(omissions)])
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
    let notes = texts.map { text -> JSON in ["level": "note", "message": message(text)] }
    return [["executionSuccessful": true, "toolExecutionNotifications": .array(notes)]]
  }

  private func rule(_ code: FindingCode) -> JSON {
    ["id": .string(code.rawValue), "shortDescription": message(code.summary)]
  }

  private func result(_ finding: Finding) -> JSON {
    [
      "ruleId": .string(finding.code.rawValue), "level": .string(finding.severity.rawValue),
      "message": message(finding.sentence),
      "locations": .array(finding.range.map { [location($0, nil)] } ?? []),
      "relatedLocations": .array(finding.related.map { location($0.range, $0.value) }),
    ]
  }

  private func location(_ range: SourceRange, _ text: String?) -> JSON {
    let region: JSON = [
      "startLine": .number(range.start.line), "startColumn": .number(range.start.column),
      "endLine": .number(range.end.line), "endColumn": .number(range.end.column),
    ]
    let place: JSON = [
      "physicalLocation": [
        "artifactLocation": ["uri": .string(range.file.path.percentEncodedPath)], "region": region,
      ]
    ]
    return text.map { place.with(["message": message($0)]) } ?? place
  }

  private func message(_ text: String) -> JSON { ["text": .string(text)] }
}
