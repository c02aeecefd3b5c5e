/// Something the operator should know about the file: what is wrong, where, and what to do.
package struct Finding: Sendable, Hashable {
  package enum Severity: String, Sendable, Hashable, CaseIterable {
    /// The file is not served.
    case error
    /// The file is served; `validate --strict` refuses it.
    case warning
  }

  package var severity: Severity
  /// Stable and documented; what scripts and SARIF rules refer to.
  package var code: FindingCode
  /// What is wrong, one sentence without a full stop, in the operator's words.
  package var message: String
  /// Where; the caret line is drawn under it. Absent only where there is no place (the file cannot be read).
  package var range: SourceRange?
  /// What to do about it, printed behind the carets: `did you mean "consumer"?`.
  package var hint: String?
  /// Other places that belong to it: the first of two duplicate keys, the route that covers this one.
  package var related: [Related]

  package struct Related: Sendable, Hashable {
    package var message: String
    package var range: SourceRange

    package init(_ message: String, at range: SourceRange) {
      self.message = message
      self.range = range
    }
  }

  package init(
    _ severity: Severity, _ code: FindingCode, _ message: String, at range: SourceRange?,
    hint: String? = nil, related: [Related] = []
  ) {
    self.severity = severity
    self.code = code
    self.message = message
    self.range = range
    self.hint = hint
    self.related = related
  }
}

/// Collects every finding of one run; nothing that loads a configuration throws.
package struct Findings: Sendable {
  package private(set) var all: [Finding] = []
  private(set) var errorCount = 0

  package init() {}

  package mutating func add(_ finding: Finding) {
    all.append(finding)
    if finding.severity == .error { errorCount += 1 }
  }

  package mutating func error(
    _ code: FindingCode, _ message: String, at range: SourceRange?, hint: String? = nil,
    related: [Finding.Related] = []
  ) {
    add(Finding(.error, code, message, at: range, hint: hint, related: related))
  }

  package mutating func warning(
    _ code: FindingCode, _ message: String, at range: SourceRange?, hint: String? = nil,
    related: [Finding.Related] = []
  ) {
    add(Finding(.warning, code, message, at: range, hint: hint, related: related))
  }

  package var hasErrors: Bool { errorCount > 0 }
}
