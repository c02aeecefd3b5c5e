import ArgumentParser
import Gateway
import GatewayConfig

struct ValidateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate",
    abstract: "Find every mistake in one or more configurations.",
    discussion: """
      Prints every finding of every file in one run; nothing is served. Exit code 0: no errors (with --strict: no \
      warnings either), 1: findings. Of several files --format json prints one object with "files", and sarif one run with the results of all.

      With --without-secrets, for a CI job that has no secrets, variables that are not set and secrets that are not there \
      are no findings. Everything else is checked.

      With --connect the Redis layers are tried for real: every host, and an event from one process to another. With \
      --django a Django project sends an event to this side and receives one from it, through each layer.

      With --groups it also prints which groups each route can reach, who comes by them there, and which other routes can \
      reach the same, with an example; with --format json as "groups".

      EXAMPLES
        sluice validate
        sluice validate --strict routes.yaml examples/chat/routes.yaml
        sluice validate --without-secrets --format sarif routes.yaml > sluice.sarif
        sluice validate --groups
        sluice validate --connect --django mysite.settings --python .venv/bin/python
      """)

  @Argument(
    help: ArgumentHelp("The configurations.", valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var paths = [ConfigurationFile.standard]

  @Option(help: "How to print the findings: text, json, sarif or github.")
  var format = FindingFormat.text

  @Flag(help: "Count warnings as errors.")
  var strict = false

  @Flag(
    help: "Do not report variables that are not set and secrets that are not there; check everything else.")
  var withoutSecrets = false

  @Flag(help: "Print who can come by which groups, too.")
  var groups = false

  @Flag(help: "Try the channel layers for real.")
  var connect = false

  @Option(
    help: ArgumentHelp(
      "With --connect: a settings module whose CHANNEL_LAYERS are to agree; run in the project's folder.",
      valueName: "settings-module"))
  var django: String?

  @Option(
    help: ArgumentHelp("With --django: the interpreter that has the project's packages.", valueName: "path"))
  var python: String?

  func validate() throws {
    if withoutSecrets, connect {
      throw ValidationError("--connect needs the secrets, so it cannot be used with --without-secrets.")
    }
    if django != nil, !connect { throw ValidationError("--django needs --connect.") }
    if groups, format != .text, format != .json {
      throw ValidationError("--groups is printed as text, or with --format json.")
    }
    if python != nil, django == nil { throw ValidationError("--python needs --django.") }
  }

  func run() async throws {
    var isGood = true
    var reports: [FindingReport] = []
    for path in paths {
      let loaded = ConfigurationLoader.load(
        path: path, environment: Environment.variables, isWithoutSecrets: withoutSecrets)
      var report = try await tried(loaded)
      let table = groups ? GroupTable(loaded.routeGroups) : nil
      report.groups = table
      isGood = isGood && report.errorCount == 0 && !(strict && report.warningCount > 0)
      if format == .text, report.findings.isEmpty, let configuration = loaded.configuration {
        Output.print("\(path): good (\(count(configuration)))\n")
      } else {
        reports.append(report)
        if format == .text { Output.print(report.rendered(.text)) }
      }
      if format == .text, let table { Output.print("\n" + table.text + "\n") }
    }
    // For programs all files are one document.
    if format != .text { Output.print(FindingReport.rendered(reports, format)) }
    if !isGood { throw ExitCode(1) }
  }

  /// The report, with what trying the layers of a good file found.
  private func tried(_ loaded: LoadedConfiguration) async throws -> FindingReport {
    guard connect, let configuration = loaded.configuration else { return loaded.report }
    let found = try await LayerTrial.run(
      configuration, django: django.map { DjangoProject(settings: $0, python: python ?? "python3") })
    return loaded.report.adding(found)
  }

  private func count(_ configuration: Configuration) -> String {
    let webSocket = configuration.served.webSocketRoutes.count
    let http = configuration.served.httpRoutes.count
    var text = "application \(configuration.served.name), \(webSocket) websocket and \(http) http routes"
    let redis = configuration.channelLayers.filter { $0.name != .memory }
    if connect {
      text += redis.isEmpty ? "; no channel layer to try" : "; tried \(django == nil ? "" : "with Django: ")"
      text += redis.map(\.alias).joined(separator: ", ")
    }
    return text
  }
}

extension FindingFormat: ExpressibleByArgument {}
