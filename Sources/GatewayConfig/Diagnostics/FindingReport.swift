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
  /// What stands beside the findings in JSON, where it is asked for.
  package var groups: GroupTable?

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

  package func rendered(_ format: FindingFormat) -> String { Self.rendered([self], format) }

  /// The reports of several files: one document where the format is one of documents.
  package static func rendered(_ reports: [FindingReport], _ format: FindingFormat) -> String {
    switch format {
    case .text: reports.map(TextRenderer().render).joined()
    case .json: JSONRenderer().render(reports)
    case .sarif: SARIFRenderer().render(reports)
    case .github: reports.map(GitHubRenderer().render).joined()
    }
  }
}
