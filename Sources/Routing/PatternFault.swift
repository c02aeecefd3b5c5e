/// Why a pattern cannot be used.
package struct PatternFault: Error, Sendable, Hashable {
  package enum Kind: Sendable, Hashable {
    /// Django would refuse it too.
    case invalid
    /// Django takes it, but no automaton can decide it, or it is too large for one.
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
}
