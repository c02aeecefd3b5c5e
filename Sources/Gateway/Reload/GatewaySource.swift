package import GatewayConfig

/// How the file of a gateway was named, and what goes before what it says: from this it is read again.
package struct GatewaySource: Sendable {
  /// On the command line; from the root on, so that it is the same file whatever becomes of the working directory.
  package var path: String
  /// `-f`: laid over it, in this order.
  package var overlays: [String]
  /// The variables of the process when it started.
  package var environment: [String: String]
  /// `--bind`; empty for `server.bind`.
  package var bind: [BindAddress] = []
  /// `--log-format`; nil for `logging.format`.
  package var logFormat: LoggingConfiguration.Format?

  package init(path: String, overlays: [String] = [], environment: [String: String]) {
    self.path = path
    self.overlays = overlays
    self.environment = environment
  }

  /// Reads the file, and everything that it includes.
  ///
  /// - Parameters:
  ///   - other: another file in place of it, for which the same goes: also what is laid over it.
  ///   - files: where they are read.
  ///   - isRunning: false before the gateway runs.
  package func load(
    _ other: String? = nil, from files: any FileAccess = Disk(), isRunning: Bool = true
  ) -> LoadedConfiguration {
    applied(
      to: ConfigurationLoader.load(
        path: other ?? path, overlays: overlays, environment: environment, files: files,
        isRunning: isRunning))
  }

  /// Reads what was served before, whatever the files say by now.
  func load(_ written: ConfigurationFiles, from files: any FileAccess) -> LoadedConfiguration {
    applied(to: ConfigurationLoader.load(written, environment: environment, files: files))
  }

  /// What it puts in place of what the files say.
  var overrides: [EffectiveConfiguration.Override] {
    var overrides: [EffectiveConfiguration.Override] = []
    if !bind.isEmpty { overrides.append(.init(["server", "bind"], bind.map { "\($0)" }, by: "--bind")) }
    if let logFormat {
      overrides.append(.init(["logging", "format"], [logFormat.rawValue], by: "--log-format"))
    }
    return overrides
  }

  /// What the command line says goes before what the file says.
  private func applied(to loaded: LoadedConfiguration) -> LoadedConfiguration {
    loaded.applying(bind: bind, logFormat: logFormat)
  }
}
