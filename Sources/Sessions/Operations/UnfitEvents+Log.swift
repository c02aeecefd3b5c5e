package import Consumers
package import Logging

extension UnfitEvents {
  /// Writes a line for each kind of event that did not fit.
  ///
  /// - Parameter route: the name of the route for the events, or of one of the gateway's own groups.
  package static func logging(to log: Logger, route: String) -> @Sendable (Report) -> Void {
    { report in
      var facts: Logger.Metadata = [
        "route": "\(route)", "type": "\(report.type)", "reason": "\(report.reason)",
      ]
      if let hint = report.hint { facts["hint"] = "\(hint)" }
      switch report.fate {
      case .dropped: log.warning("an event was dropped", metadata: facts)
      case .incomplete: log.warning("an event was delivered without a field", metadata: facts)
      case .last: log.warning("events were dropped", metadata: facts)
      }
    }
  }
}
