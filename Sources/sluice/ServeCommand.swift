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
      SIGTERM and SIGINT stop the gateway as `shutdown:` says; a second one stops it at once. SIGHUP \
      loads the certificates of `server.tls` again.

      EXAMPLES
        sluice serve
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
    Signals.ignoreForServing()
    ProcessMemory.settle()
    let loaded = ConfigurationLoader.load(path: file.path, environment: Environment.variables)
    if !loaded.report.findings.isEmpty { Output.error(loaded.report.rendered(.text)) }
    guard var configuration = loaded.configuration else { throw ExitCode(1) }
    if !bind.isEmpty { configuration.server.bind = bind }
    if let logFormat { configuration.logging.format = logFormat }
    do {
      try GatewayServer.checkDescriptors(for: configuration)
    } catch {
      throw Output.failure("sluice: \(error)")
    }
    let output: LineWriter
    do {
      output = try LineWriter(forLogIn: configuration.logging.format)
    } catch {
      throw Output.failure("sluice: the log could not be started: \(error)")
    }
    // From here on all output goes through the log, because its reader may have stopped reading.
    defer { output.finish(within: Self.flushTime) }
    let log = Self.logger(configuration.logging, output)
    let gateway = GatewayServer(configuration, log: log) {
      output.finish(within: Self.flushTime)
      // Without clean-up, which would wait for whatever kept the stop from finishing.
      _exit(1)
    }
    do {
      if requireLayers { try await Self.require(gateway, output) }
      try await Self.serve(gateway, log)
    } catch let code as ExitCode {
      throw code
    } catch {
      output.write("sluice: \(error)")
      throw ExitCode(1)
    }
  }

  /// How long writing the last lines may take.
  private static let flushTime = Duration.seconds(1)

  private static func require(_ gateway: GatewayServer, _ output: LineWriter) async throws {
    let unreachable = await gateway.unreachableLayers()
    guard !unreachable.isEmpty else { return }
    for sentence in unreachable { output.write("sluice: \(sentence)") }
    throw ExitCode(1)
  }

  private static func serve(_ gateway: GatewayServer, _ log: Logger) async throws {
    let signals = await ServingSignals(for: gateway)
    defer { signals.end() }
    try await gateway.run { addresses in
      for address in addresses { log.notice("listening on \(address.url)") }
    }
  }

  private static func logger(_ configuration: LoggingConfiguration, _ output: LineWriter) -> Logger {
    let level: Logger.Level =
      switch configuration.level {
      case .debug: .debug
      case .info: .info
      case .notice: .notice
      case .warning: .warning
      case .error: .error
      }
    return Logger(label: "sluice") { _ in
      GatewayLogHandler(configuration.format, level: level, write: output.write)
    }
  }
}

extension LoggingConfiguration.Format: ExpressibleByArgument {}
