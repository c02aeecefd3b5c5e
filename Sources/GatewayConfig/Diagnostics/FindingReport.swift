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

/// Findings in reading order (by file, then by place), each once, and not more than `Findings.most`.
package struct FindingReport: Sendable {
  /// The file named on the command line.
  package let path: String
  /// The files that were laid over it.
  package let overlays: [String]
  package let findings: [Finding]
  /// The findings beyond the limit. Errors take precedence over warnings.
  package let omitted: Findings.Omitted
  /// The table of groups for the JSON output, if it was asked for.
  package var groups: GroupTable?

  package init(path: String, overlays: [String] = [], findings: Findings) {
    self.init(path: path, overlays: overlays, findings: findings.all, omitted: findings.omitted)
  }

  package init(
    path: String, overlays: [String] = [], findings: [Finding], omitted: Findings.Omitted = .init()
  ) {
    self.path = path
    self.overlays = overlays
    let unique = findings.unique
    let errors = unique.filter { $0.severity == .error }.sorted(by: Self.precedes)
    let warnings = unique.filter { $0.severity == .warning }.sorted(by: Self.precedes)
    let shown = errors.prefix(Findings.most) + warnings.prefix(max(0, Findings.most - errors.count))
    self.findings = shown.sorted(by: Self.precedes)
    var omitted = omitted
    omitted.errors += errors.count - min(errors.count, Findings.most)
    omitted.warnings += unique.count - errors.count - shown.count { $0.severity == .warning }
    omitted.secrets += unique.filter { $0.code == .plainSecret }.compactMap(\.range)
    self.omitted = omitted
  }

  /// The report with additional findings.
  package func adding(_ more: [Finding]) -> FindingReport {
    FindingReport(path: path, overlays: overlays, findings: findings + more, omitted: omitted)
  }

  private static func precedes(_ one: Finding, _ other: Finding) -> Bool {
    func key(_ finding: Finding) -> (String, Int, Int, String) {
      let start = finding.range?.start
      return (finding.range?.file.path ?? "", start?.line ?? 0, start?.column ?? 0, finding.message)
    }
    return key(one) < key(other)
  }

  /// The number of errors, including those that are not shown.
  package var errorCount: Int { findings.count { $0.severity == .error } + omitted.errors }
  package var warningCount: Int { findings.count { $0.severity == .warning } + omitted.warnings }

  /// Says how many findings are not shown; nil if all are.
  var omission: String? {
    guard omitted.count > 0 else { return nil }
    return
      "... and \(Self.count(omitted.count, "more finding")) \(omitted.count == 1 ? "is" : "are") not shown"
  }

  /// `1 error, 0 warnings in routes.yaml`
  package var summary: String {
    "\(Self.count(errorCount, "error")), \(Self.count(warningCount, "warning")) in \(name)"
  }

  /// The file, and those that were laid over it: `routes.yaml with production.yaml`.
  package var name: String {
    path + (overlays.isEmpty ? "" : " with \(overlays.joined(separator: " and "))")
  }

  private static func count(_ number: Int, _ noun: String) -> String {
    "\(number) \(noun)\(number == 1 ? "" : "s")"
  }

  package func rendered(_ format: FindingFormat) -> String { Self.rendered([self], format) }

  /// The reports of several files: one document if the format has documents.
  package static func rendered(_ reports: [FindingReport], _ format: FindingFormat) -> String {
    switch format {
    case .text: reports.map(TextRenderer().render).joined()
    case .json: JSONRenderer().render(reports)
    case .sarif: SARIFRenderer().render(reports)
    case .github: reports.map(GitHubRenderer().render).joined()
    }
  }
}
