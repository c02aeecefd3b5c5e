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
}
