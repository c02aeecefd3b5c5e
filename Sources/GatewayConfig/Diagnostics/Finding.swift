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
    let isError = finding.severity == .error
    let shown = isError && hasRoomForErrors ? finding.namingLookalike() : finding
    let finding = shown.shortened(to: Self.longestText)
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

  /// Never shows the lines of a place, whatever the findings about them.
  mutating func hide(_ range: SourceRange) {
    if omitted.secrets.count < Self.mostRemembered { omitted.secrets.append(range) }
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
  private static let mostLookedAt = 200

  /// Pointing at the character that is not what it seems to be, where there is one in the place.
  fileprivate func namingLookalike() -> Finding {
    guard let range, range.start.line == range.end.line, isAboutWords,
      range.end.column - range.start.column <= Self.mostLookedAt
    else { return self }
    let first = range.start.column - 1
    let text = range.file.text(ofLine: range.start.line, first..<max(first, range.end.column - 1))
    // It may have been said already: by the finding itself, or when it was taken in by another run.
    guard let (offset, found) = Lookalike.first(in: text), !message.contains(found.name),
      hint?.contains(found.name) != true
    else { return self }
    var finding = self
    finding.range?.start.column += offset
    finding.range?.end.column = range.start.column + offset + 1
    finding.hint = "this is \(found.name)" + (hint.map { "; \($0)" } ?? "")
    return finding
  }

  /// Whether it may have to do with how a key or a value is spelt.
  private var isAboutWords: Bool {
    switch code {
    case .unknownKey, .unknownName, .invalidValue, .wrongType, .missingUnit, .appNotInstalled, .invalidGroup,
      .invalidPattern, .unsupportedPattern, .yamlSyntax:
      true
    default: false
    }
  }

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
