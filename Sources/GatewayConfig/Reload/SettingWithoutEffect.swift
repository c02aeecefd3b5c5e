/// A setting that stands in the file of a gateway, whose command line says something else.
package struct SettingWithoutEffect: Sendable, Hashable {
  /// `server.bind`
  package var key: String
  /// What the file says.
  package var value: String
  /// The option of the command line that goes before it: `--bind 0.0.0.0:8000`.
  package var option: String

  static let words = "no effect"

  /// `server.bind: 127.0.0.1:9000, because the gateway was started with --bind 0.0.0.0:8000`
  var text: String { "\(key): \(value), because the gateway was started with \(option)" }
}

extension LoadedConfiguration {
  /// With what the command line of a gateway says in place of the file.
  ///
  /// - Parameters:
  ///   - bind: `--bind`; empty where it was not given.
  ///   - logFormat: `--log-format`; nil where it was not given.
  package func applying(bind: [BindAddress], logFormat: LoggingConfiguration.Format?) -> LoadedConfiguration {
    guard var configuration else { return self }
    if !bind.isEmpty {
      let wanted = configuration.server.bind
      if isWritten("server", "bind"), wanted != bind {
        configuration.withoutEffect.append(
          SettingWithoutEffect(
            key: "server.bind", value: wanted.map { "\($0)" }.joined(separator: ", "),
            option: bind.map { "--bind \($0)" }.joined(separator: " ")))
      }
      configuration.server.bind = bind
    }
    if let logFormat {
      let wanted = configuration.logging.format
      if isWritten("logging", "format"), wanted != logFormat {
        configuration.withoutEffect.append(
          SettingWithoutEffect(
            key: "logging.format", value: wanted.rawValue, option: "--log-format \(logFormat.rawValue)"))
      }
      configuration.logging.format = logFormat
    }
    var applied = self
    applied.configuration = configuration
    return applied
  }

  /// Whether one of the files has a value for a key of the top level's mapping.
  private func isWritten(_ mapping: String, _ key: String) -> Bool {
    written?.document.entry(mapping)?.value.entry(key) != nil
  }
}

extension Configuration {
  /// What another file says in vain, and this one did not.
  package func newlyWithoutEffect(in other: Configuration) -> [SettingWithoutEffect] {
    other.withoutEffect.filter { !withoutEffect.contains($0) }
  }
}
