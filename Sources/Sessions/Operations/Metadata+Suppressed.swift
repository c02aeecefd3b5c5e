import Logging

extension Logger.Metadata {
  /// Adds how many lines the pace has left out before this one, if there were any.
  package mutating func note(suppressed: Int) {
    if suppressed > 0 { self["suppressed"] = .number(suppressed) }
  }
}
