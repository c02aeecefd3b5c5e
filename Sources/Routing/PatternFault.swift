/// Why a pattern cannot be used.
package struct PatternFault: Error, Sendable, Hashable {
  package enum Kind: Sendable, Hashable {
    /// Django would refuse the pattern too.
    case invalid
    /// Django accepts the pattern, but an automaton cannot express it or would be too large.
    case unsupported
  }

  package var kind: Kind
  /// What is wrong, without a full stop.
  package var message: String
  package var hint: String?
  /// In UTF-8 bytes of the pattern.
  package var range: Range<Int>

  package init(_ kind: Kind, _ message: String, hint: String? = nil, at range: Range<Int>) {
    self.kind = kind
    self.message = message
    self.hint = hint
    self.range = range
  }

  /// Why a capture cannot have a name: it is no identifier of Python, or another capture of the pattern has it.
  static func badName(_ name: String, at range: Range<Int>) -> PatternFault {
    PatternFault(
      .invalid, "\"\(name)\" cannot be the name of a capture",
      hint: "use letters, digits and underscores, and do not begin with a digit", at: range)
  }

  static func takenName(_ name: String, at range: Range<Int>) -> PatternFault {
    PatternFault(.invalid, "the pattern has two captures with the name \"\(name)\"", at: range)
  }
}
