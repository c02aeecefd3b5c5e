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

/// Collects the findings of one run, each once; nothing that loads a configuration throws.
///
/// Of each severity the first `most` are kept. Later ones are only counted, so that a file which is wrong in a hundred thousand
/// places costs no more memory than one which is wrong in a thousand.
package struct Findings: Sendable {
  package static let most = 1000
  /// A text that repeats what the file says is cut there. Bytes.
  private static let longestText = 4096
  /// Of so many findings that are only counted it is remembered which they were.
  private static let mostRemembered = 1 << 18

  /// Findings that were counted and not kept.
  package struct Omitted: Sendable, Hashable {
    package var errors = 0
    package var warnings = 0
    /// Where secrets are written: no line of these is ever shown.
    var secrets: [SourceRange] = []

    package var count: Int { errors + warnings }
  }

  package private(set) var all: [Finding] = []
  package private(set) var omitted = Omitted()
  private(set) var errorCount = 0
  private var warningCount = 0
  private var kept: Set<Finding> = []
  private var countedHashes: Set<Int> = []

  package init() {}

  package mutating func add(_ finding: Finding) {
    let finding = finding.shortened(to: Self.longestText)
    let isError = finding.severity == .error
    guard (isError ? errorCount : warningCount) >= Self.most else {
      guard kept.insert(finding).inserted else { return }
      all.append(finding)
      if isError { errorCount += 1 } else { warningCount += 1 }
      return
    }
    guard !kept.contains(finding) else { return }
    if countedHashes.count < Self.mostRemembered {
      guard countedHashes.insert(finding.hashValue).inserted else { return }
    }
    if isError { omitted.errors += 1 } else { omitted.warnings += 1 }
    if finding.code == .plainSecret, let range = finding.range { omitted.secrets.append(range) }
  }

  /// Takes another run's findings in.
  mutating func merge(_ other: Findings) {
    for finding in other.all { add(finding) }
    omitted.errors += other.omitted.errors
    omitted.warnings += other.omitted.warnings
    omitted.secrets += other.omitted.secrets
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

  /// Whether one more error would be shown; a hint for one that is not is not worth working out.
  var hasRoomForErrors: Bool { errorCount < Self.most }

  package var hasErrors: Bool { errorCount > 0 }
}

extension Finding {
  /// With texts of at most so many bytes.
  fileprivate func shortened(to most: Int) -> Finding {
    guard message.utf8.count > most || (hint?.utf8.count ?? 0) > most else { return self }
    var finding = self
    finding.message = message.shortened(to: most)
    finding.hint = hint?.shortened(to: most)
    return finding
  }
}

extension String {
  fileprivate func shortened(to most: Int) -> String {
    guard utf8.count > most else { return self }
    return String(decoding: utf8.prefix(most), as: UTF8.self) + "\u{2026}"
  }
}
