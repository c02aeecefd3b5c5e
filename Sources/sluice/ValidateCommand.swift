import ArgumentParser
import GatewayConfig

struct ValidateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate",
    abstract: "Find every mistake in one or more configurations.",
    discussion: """
      Prints every finding of every file in one run; nothing is served. Exit code 0: no errors (with --strict: no \
      warnings either), 1: findings.

      EXAMPLES
        sluice validate
        sluice validate --strict routes.yaml examples/chat/routes.yaml
        sluice validate --format sarif routes.yaml > sluice.sarif
      """)

  @Argument(
    help: ArgumentHelp("The configurations.", valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var paths = ["routes.yaml"]

  @Option(help: "How to print the findings: text, json, sarif or github.")
  var format = FindingFormat.text

  @Flag(help: "Count warnings as errors.")
  var strict = false

  func run() throws {
    var isGood = true
    for path in paths {
      let loaded = ConfigurationLoader.load(path: path, environment: Environment.variables)
      let report = loaded.report
      isGood = isGood && report.errorCount == 0 && !(strict && report.warningCount > 0)
      if format == .text, report.findings.isEmpty, let configuration = loaded.configuration {
        Output.print("\(path): good (\(Self.count(configuration)))\n")
      } else {
        Output.print(report.rendered(format))
      }
    }
    if !isGood { throw ExitCode(1) }
  }

  private static func count(_ configuration: Configuration) -> String {
    let webSocket = configuration.served.webSocketRoutes.count
    let http = configuration.served.httpRoutes.count
    return "application \(configuration.served.name), \(webSocket) websocket and \(http) http routes"
  }
}

extension FindingFormat: ExpressibleByArgument {}
