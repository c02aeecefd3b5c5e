/// The result of loading a file: findings, and the configuration if none of them is an error.
package struct LoadedConfiguration: Sendable {
  package var configuration: Configuration?
  package var report: FindingReport
  /// How clients of the served application's routes reach groups, as far as the routes could be read.
  package var routeGroups: [RouteGroups]
  /// Every file that was read for it, in this order.
  package var files: [ReadFile]
  /// Nil if one of the files cannot be used.
  var written: WrittenConfiguration?
}

/// Reads a file, everything it includes, checks all of it, and compiles the routers.
///
/// Never throws, and never stops at the first fault: every finding of a file is reported in one run.
package enum ConfigurationLoader {
  /// - Parameters:
  ///   - overlays: files that are laid over the file, in this order. See `Overlay`.
  ///   - environment: the variables for `${NAME}` and `{env: NAME}`.
  ///   - secrets: whether they have to be there.
  ///   - isRunning: whether the variables are those of a gateway that runs, which no shell can set any more.
  package static func load(
    path: String, overlays: [String] = [], environment: [String: String], files: any FileAccess = Disk(),
    secrets: SecretUse = .read, isRunning: Bool = false
  ) -> LoadedConfiguration {
    let files = ReadFiles(files)
    let reading = Reading(files: files, environment: environment, secrets: secrets, isRunning: isRunning)
    var configuration: Configuration?
    var document: Node?
    repeat {
      document = Composition(reading: reading).read(path, overlays: overlays)
      configuration = document.flatMap { readFile($0, reading) }
    } while reading.beginsAnew()
    if document?.entries == nil { reading.hideSecrets() }
    let report = FindingReport(path: path, overlays: overlays, findings: reading.findings)
    let read = files.all.map { file in
      var file = file
      file.isOverlay = file.use == .configuration && overlays.contains(file.path)
      return file
    }
    let written = document.map {
      WrittenConfiguration(
        name: report.name, source: ConfigurationFiles(path: path, overlays: overlays, files: read),
        document: $0,
        namedFiles: reading.namedFiles)
    }
    configuration?.written = written
    return LoadedConfiguration(
      configuration: reading.findings.hasErrors ? nil : configuration, report: report,
      routeGroups: configuration?.served.routeGroups ?? [], files: read, written: written)
  }

  private static func readFile(_ node: Node, _ reading: Reading) -> Configuration? {
    guard let (top, isPart) = topLevel(node, reading) else { return nil }
    let apps = isPart ? InstalledApps() : InstalledApps.read(top, reading)
    let layerNode = top.value("channel_layers")
    let layers = ChannelLayerReader.read(layerNode, reading)
    var server = ServerConfiguration()
    server.read(top.value("server"), reading)
    var settings = RouteSettings()
    settings.refusals = server.refusals
    settings.limits = LimitsReader.readTopLevel(top.value("limits"), into: &server, reading)
    let authNode = top.value("auth")
    (settings.auth.authenticators, settings.auth.userTypes) =
      AuthenticatorReader(reading: reading, handshake: server.handshake).read(authNode)
    settings.auth.handshake = server.handshake
    settings.auth.names = authNode?.entries?.map(\.key.value) ?? []
    settings.auth.areNamesKnown =
      authNode.map { AuthenticatorReader.entries.strayKey(of: $0.entries) == nil } ?? true
    settings.compression = CompressionReader.read(top.value("compression"), over: nil, reading)
    let shutdown = ShutdownConfiguration(reading: top.value("shutdown"), reading)
    let logging = LoggingConfiguration(reading: top.value("logging"), reading)
    let context = RouteContext(
      reading: reading, apps: apps, layers: layerNode.map(ChannelLayerReader.entries.names) ?? [],
      groupSpaces: ChannelLayerConfiguration.groupSpaces(of: layers ?? []), auth: settings.auth,
      handshake: server.handshake)
    let applications = isPart ? [] : readApplications(top, settings, context)
    LimitsReader.checkBodies(
      top.value("limits"), server, applications.flatMap(\.application.httpRoutes), reading)
    UserLimits.check(top.value("limits"), applications.map(\.application), reading)
    ChannelLayerReader.reportMisspelt(in: layerNode, applications.map(\.application), reading)
    let served = chooseServed(top, applications, reading)
    top.finish()
    context.checkApps()
    guard let served else { return nil }
    server.checkShared(at: top.value("server")?.entry("reuse_port")?.value, served, layers ?? [], reading)
    return Configuration(
      file: node.range.file, channelLayers: layers ?? [], authenticators: settings.auth.authenticators,
      applications: applications.map(\.application), served: served, server: server, shutdown: shutdown,
      logging: logging)
  }

  /// The keys of the file, and whether it is only a part of a configuration.
  private static func topLevel(_ node: Node, _ reading: Reading) -> (top: MappingCursor, isPart: Bool)? {
    guard let whole = MappingCursor(node, "the file", reading) else { return nil }
    let isPart = isPart(whole)
    let top = isPart ? MappingCursor(node.withoutNulls, "the file", reading) ?? whole : whole
    // What stood there is in the tree already.
    _ = top.value("include")
    if isPart { reportPart(top, reading) }
    return (top, isPart)
  }

  private static let keysOfWhole = ["installed_apps", "applications"]

  /// Whether the file has keys of the top level, and none of those that every configuration has: it is included somewhere, or laid over
  /// another file.
  private static func isPart(_ top: MappingCursor) -> Bool {
    let keys = top.keys.map(\.value)
    return keys.contains { Key.named($0, at: .file) != nil }
      && keysOfWhole.allSatisfy { !keys.contains($0) && NearestName.of($0, in: keys) == nil }
  }

  private static func reportPart(_ top: MappingCursor, _ reading: Reading) {
    for key in keysOfWhole { _ = top.value(key) }
    let path = top.node.range.file.path
    reading.findings.error(
      .missingKey,
      "the file has neither \"installed_apps\" nor \"applications\", so it is no whole configuration",
      at: top.place,
      hint:
        "check a part together with its whole: \"sluice validate routes.yaml -f \(path)\", or the file that includes it"
    )
    // What is missing here may stand in another file.
    reading.findings.ignored = [.missingKey]
  }

  private typealias NamedApplication = (name: Located<String>, application: ApplicationConfiguration)

  private static func readApplications(
    _ top: MappingCursor, _ settings: RouteSettings, _ context: RouteContext
  ) -> [NamedApplication] {
    guard let node = top.required("applications", hint: "applications: {main: {websocket: [...]}}") else {
      return []
    }
    guard let mapping = MappingCursor(node, "\"applications\"", context.reading) else { return [] }
    if mapping.entries.isEmpty {
      context.reading.findings.error(
        .missingKey, "\"applications\" is empty", at: node.range,
        hint: "write applications: {main: {websocket: [...]}}",
        related: context.reading.removals.all(in: node).map { .init("removed here", at: $0) })
    }
    return entries.read(mapping) { entry in
      (entry.key, ApplicationReader(context: context, settings: settings).read(entry))
    }
  }

  private static let entries = NamedEntries(
    kind: "an application", standardName: "main", example: "applications: {main: {websocket: [...]}}",
    keys: Key.names(at: .application)
  ) { node in
    // A block of routes is a list, or a mapping with "routes".
    node.entries.map { !$0.contains { $0.key.value == "routes" } } ?? node.isUnusable
  }

  private static func chooseServed(
    _ top: MappingCursor, _ applications: [NamedApplication], _ reading: Reading
  ) -> ApplicationConfiguration? {
    guard let node = top.value("asgi_application") else {
      guard applications.count > 1 else { return applications.first?.application }
      return reading.refuse(
        .missingKey,
        "there are \(applications.count) applications, and \"asgi_application\" does not name the one to serve",
        at: top.place, hint: "add asgi_application: \(applications[0].name.value)")
    }
    guard let name = reading.word(node, "\"asgi_application\"") else { return nil }
    if let found = applications.first(where: { $0.name.value == name }) { return found.application }
    guard !applications.isEmpty else { return nil }
    return reading.refuse(
      .unknownName, "there is no application \"\(name)\"", at: node.range,
      hint: NearestName.hint(for: name, in: applications.map(\.name.value)))
  }
}
