package import Logging
package import Transport

extension Logger {
  /// Writes a line unless the pace has to leave it out, and says in `suppressed` how many lines were left out before it.
  ///
  /// - Parameter facts: asked for only where the line is written. A fact that is nil is left out.
  package func log(
    _ event: Message, at level: Level, paced pace: SharedLogPace,
    _ facts: @autoclosure () -> [String: MetadataValue?]
  ) {
    guard let suppressed = pace.next() else { return }
    var metadata = facts().compactMapValues(\.self)
    if suppressed > 0 { metadata["suppressed"] = .number(suppressed) }
    log(level: level, event, metadata: metadata)
  }
}
