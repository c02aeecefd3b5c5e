import ArgumentParser
import Gateway
import GatewayConfig
import Glibc
import Logging
import Transport

struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Run the gateway until a signal stops it.",
    discussion: """
      A file with errors is never served: `serve` prints the same findings as `validate` and ends with exit code 1. \
      SIGTERM and SIGINT stop the gateway as `shutdown:` says; a second one ends `shutdown.delay`, or \
      stops it at once. SIGHUP reads the file and the certificates of `server.tls` again, and serves what they say; clients \
      stay connected where they can. SIGUSR2 executes the program anew in the same process, which goes on with the \
      connections of its clients.

      EXAMPLES
        sluice serve
        sluice serve routes.yaml -f production.yaml
        sluice serve routes.yaml --bind 0.0.0.0:8000
        sluice serve routes.yaml --bind unix:/run/sluice.sock --log-format json
      """)

  @OptionGroup var file: ConfigurationFile

  @Option(
    help: ArgumentHelp(
      "Address to listen on, HOST:PORT or unix:PATH, instead of `server.bind`; may be given several times.",
      valueName: "address"),
    transform: { text throws in
      guard let address = BindAddress(text) else { throw ValidationError(BindAddress.hint(for: text)) }
      return address
    })
  var bind: [BindAddress] = []

  @Flag(help: "End at once with exit code 1 if a channel layer cannot be reached, instead of retrying.")
  var requireLayers = false

  @Option(help: "Format of the log, text or json, instead of `logging.format`.")
  var logFormat: LoggingConfiguration.Format?

  func validate() throws {
    for address in bind where bind.count(where: { $0 == address }) > 1 {
      throw ValidationError("--bind \(address) is given twice.")
    }
  }

  func run() async throws {
    Signals.ignoreForServing(isTakingOver: TakenOver.isExpected)
    ProcessMemory.settle()
    let handed = try TakenOver.record()
    let source = source(after: handed?.record)
    let (loaded, findings) = self.loaded(from: source, isStart: handed == nil)
    guard let configuration = loaded.configuration else {
      Output.error(findings ?? "")
      throw ExitCode(1)
    }
    do {
      try GatewayServer.checkDescriptors(for: configuration)
    } catch {
      throw CommandFailure("\(error)")
    }
    let output: LineWriter
    do {
      output = try LineWriter(forLogIn: configuration.logging.format)
    } catch {
      throw CommandFailure("the log could not be started: \(error)")
    }
    // From here on all output goes through the log, because its reader may have stopped reading.
    defer { output.finish(within: Self.flushTime) }
    for line in findings?.split(separator: "\n", omittingEmptySubsequences: false) ?? [] {
      output.write(String(line))
    }
    let level = LogLevel(configuration.logging.level)
    let log = Self.logger(configuration.logging.format, level, output)
    let admin = AdminPlace(
      of: source.path, namedAs: handed == nil ? file.path : nil, environment: source.environment,
      version: Sluice.configuration.version)
    let gateway = GatewayServer(
      configuration, from: source, log: log, level: level, admin: admin, takingOver: handed
    ) {
      output.finish(within: Self.flushTime)
      // Without clean-up, which would wait for whatever kept the stop from finishing.
      _exit(1)
    }
    do {
      // One that takes over has sessions that do not need them.
      if requireLayers, handed == nil { try await Self.require(gateway, output) }
      try await Self.serve(gateway, log, output)
    } catch let code as ExitCode {
      throw code
    } catch {
      output.write("sluice: \(error)")
      if let failure = error as? GatewayServer.StartFailure, failure.isAddressInUse,
        let hint = Self.hint(beside: file.path)
      {
        output.write("Hint: \(hint)")
      }
      throw ExitCode(1)
    }
  }

  /// What to do where the file is served already; nil where nobody does.
  private static func hint(beside path: String) -> String? {
    let found = try? AdminSearch(for: path, environment: Environment.variables).find()
    guard let gateway = found?.first(where: { !$0.isWritten }) else { return nil }
    let who = gateway.process.map { " (process \($0.process))" } ?? ""
    return
      "a gateway of \(path) runs already\(who): \"sluice reload \(path)\" has it serve what the file says now"
  }

  /// Reads the file.
  ///
  /// - Returns: also the findings as text; nil where there are none.
  private func loaded(
    from source: GatewaySource, isStart: Bool
  ) -> (LoadedConfiguration, findings: String?) {
    let loaded = source.load(isRunning: false)
    guard !loaded.report.findings.isEmpty else { return (loaded, nil) }
    let report = isStart ? report(as: source) : nil
    // What was read again may have changed meanwhile.
    let isSame = report?.findings.map(\.code) == loaded.report.findings.map(\.code)
    return (loaded, (isSame ? report ?? loaded.report : loaded.report).rendered(.text))
  }

  /// The findings with the names of the files as they were given, as `validate` has them; nil for what can be read only once.
  private func report(as source: GatewaySource) -> FindingReport? {
    var named = source
    (named.path, named.overlays) = (file.path, file.overlays)
    let disk = Disk()
    let isThereAgain = ([named.path] + named.overlays).allSatisfy { name in
      !Disk.isStandardInput(name) && (disk.fault(of: name, as: .include) == nil || disk.isDirectory(name))
    }
    guard isThereAgain else { return nil }
    return named.load(isRunning: false).report
  }

  /// How the file is read, now and by each reload.
  ///
  /// - Parameter record: of the process before, whose working directory may have another name by now: its files keep theirs.
  func source(after record: GatewayRecord?) -> GatewaySource {
    let environment = Environment.variables
    let known = record?.namedFiles(besides: file.overlays.count)
    var source = GatewaySource(
      path: known?.path ?? WorkingFolder.path(file.path, environment: environment),
      overlays: known?.overlays
        ?? file.overlays.map { WorkingFolder.path($0, environment: environment) },
      environment: environment)
    source.bind = bind
    source.logFormat = logFormat
    return source
  }

  /// How long writing the last lines may take.
  static let flushTime = Duration.seconds(1)

  private static func require(_ gateway: GatewayServer, _ output: LineWriter) async throws {
    let unreachable = await gateway.unreachableLayers()
    guard !unreachable.isEmpty else { return }
    for sentence in unreachable { output.write("sluice: \(sentence)") }
    throw ExitCode(1)
  }

  private static func serve(_ gateway: GatewayServer, _ log: Logger, _ output: LineWriter) async throws {
    let signals = try await ServingSignals()
    let upgrade = TakenOver.order(output, signals)
    gateway.allowUpgrades(by: upgrade)
    let reloads = signals.handle(for: gateway, upgrade: upgrade)
    defer { reloads.cancel() }
    try await gateway.run { addresses in
      for address in addresses { log.notice("listening on \(address.url)") }
    }
  }

  private static func logger(
    _ format: LoggingConfiguration.Format, _ level: LogLevel, _ output: LineWriter
  ) -> Logger {
    Logger(label: "sluice") { _ in GatewayLogHandler(format, level: level, write: output.write) }
  }
}

extension LoggingConfiguration.Format: ExpressibleByArgument {}
