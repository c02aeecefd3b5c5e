package import GatewayConfig
package import Sessions

/// What has become of a reload.
package struct ReloadResult: Sendable {
  /// Why nothing was changed; nil where the file is served.
  package var refusal: ReloadRefusal?
  /// Whether other certificates are served since, though the file was refused.
  var renewsCertificates = false
  /// The findings of the file; nil where it was not read.
  package var report: FindingReport?
  /// What has become of the connected clients.
  package var counts = ExchangeCounts()
  /// The settings outside of the routes that are others.
  package var settings: [SettingChange] = []
  /// What the file says in vain, and the one before did not.
  package var withoutEffect: [SettingWithoutEffect] = []
  /// Stands for what is served now: another one where a file says something else.
  package var hash = ""
  /// From the reading of the file until every client has had its turn.
  package var duration = Duration.zero

  /// The settings that are served as before, because only a new process could have them otherwise.
  package var needingUpgrade: [SettingChange] { settings.filter { $0.need == .upgrade } }
}

/// Why a reload has changed nothing.
package enum ReloadRefusal: Error, Sendable, CustomStringConvertible {
  /// The file has errors, which the report says.
  case findings
  /// The routes need what the running gateway cannot get; whether they are those of before the last reload.
  case needsUpgrade([SettingChange], isUndo: Bool = false)
  /// A port is in use, or something else could not be had; a sentence.
  case cannot(String)
  /// One side has changed since a plan was made; the identification of the plan that holds now.
  case notAsPlanned(String)
  /// The gateway is stopping, or has not started.
  case notServing

  package var description: String {
    switch self {
    case .findings: "the file has errors"
    case .needsUpgrade(let settings, isUndo: true):
      "what was served before needs another process (\(settings.map { "\($0.key): \($0.new)" }.joined(separator: "; "))): write the earlier file back, and run \"sluice upgrade\", which serves the file"
    case .needsUpgrade(let settings, isUndo: false):
      settings.map { "\($0.key): \($0.new) needs \($0.need.words)" }.joined(separator: "; ")
    case .cannot(let sentence): sentence
    case .notAsPlanned(let plan):
      "the file, or what is served, has changed since that plan, and nothing was reloaded; run \"sluice plan\" and read it: now it is \(plan)"
    case .notServing: "the gateway is starting or stopping"
    }
  }
}
