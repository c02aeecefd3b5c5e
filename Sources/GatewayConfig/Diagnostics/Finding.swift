/// A fact about the file for the operator: what is wrong, where, and what to do.
package struct Finding: Sendable, Hashable {
  package enum Severity: String, Sendable, Hashable, CaseIterable {
    /// The file is not served.
    case error
    /// The file is served; `validate --strict` refuses it.
    case warning
  }

  package var severity: Severity
  /// Stable and documented; scripts and SARIF rules refer to it.
  package var code: FindingCode
  /// What is wrong, one sentence without a full stop, in the operator's words.
  package var message: String
  /// The place of the problem, which the carets mark. Nil only if there is no place, because the file cannot be read.
  package var range: SourceRange?
  /// What to do about it, printed after the carets: `did you mean "consumer"?`.
  package var hint: String?
  package var related: [Related]

  /// A related place, and what it is: the first of two duplicate keys, the route that covers this one.
  package typealias Related = Located<String>

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

  /// What is wrong, and what to do about it.
  var sentence: String { message + (hint.map { ": \($0)" } ?? "") }
}

/// Collects the findings of one run, each once. Loading a configuration never throws.
///
/// Of each severity the first `most` are kept. Later ones are only counted, so that a file with a hundred thousand mistakes
/// takes no more memory than one with a thousand.
package struct Findings: Sendable {
  package static let most = 1000
  /// A longer text that repeats the file is cut. Bytes.
  private static let longestText = 4096
  /// How many of the counted findings are remembered, so that they are counted once.
  private static let mostRemembered = 1 << 18

  /// Findings that were counted and not kept.
  package struct Omitted: Sendable, Hashable {
    package var errors = 0
    package var warnings = 0
    /// The places of secrets. Their lines are never shown.
    var secrets: [SourceRange] = []

    package var count: Int { errors + warnings }
  }

  /// Findings that are not to be added any more.
  var ignored: Set<FindingCode> = []
  package private(set) var all: [Finding] = []
  package private(set) var omitted = Omitted()
  private(set) var errorCount = 0
  private var warningCount = 0
  private var kept: Set<Finding> = []
  private var countedHashes: Set<Int> = []

  package init() {}

  package mutating func add(_ finding: Finding) {
    guard !ignored.contains(finding.code) else { return }
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

  /// Hides the lines of a place in all findings.
  mutating func hide(_ range: SourceRange) {
    if omitted.secrets.count < Self.mostRemembered { omitted.secrets.append(range) }
  }

  /// Adds the findings of another run.
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

  /// Whether another error would be shown. Otherwise its hint need not be computed.
  var hasRoomForErrors: Bool { errorCount < Self.most }

  package var hasErrors: Bool { errorCount > 0 }
}

extension Finding {
  private static let mostLookedAt = 200

  /// The finding with a mention of the first misleading character at its place, if there is one.
  fileprivate func namingLookalike() -> Finding {
    guard let range, range.isInOneLine, isAboutWords,
      range.end.column - range.start.column <= Self.mostLookedAt
    else { return self }
    let first = range.start.column - 1
    let text = range.file.text(ofLine: range.start.line, first..<max(first, range.end.column - 1))
    // The finding itself may name the character already, or another run may have added it.
    guard let (offset, found) = Lookalike.first(in: text), !message.contains(found.name),
      hint?.contains(found.name) != true
    else { return self }
    var finding = self
    finding.range?.start.column += offset
    finding.range?.end.column = range.start.column + offset + 1
    finding.hint = "this is \(found.name)" + (hint.map { "; \($0)" } ?? "")
    return finding
  }

  /// Whether the problem may be the spelling of a key or a value.
  private var isAboutWords: Bool {
    switch code {
    case .unknownKey, .unknownName, .invalidValue, .wrongType, .missingUnit, .appNotInstalled, .invalidGroup,
      .invalidPattern, .unsupportedPattern, .yamlSyntax:
      true
    default: false
    }
  }

  /// The finding with its texts cut to at most this many bytes.
  fileprivate func shortened(to most: Int) -> Finding {
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
