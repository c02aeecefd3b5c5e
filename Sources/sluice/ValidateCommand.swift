import ArgumentParser
import Bytes
import Gateway
import GatewayConfig

struct ValidateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate",
    abstract: "Report every mistake in one or more configuration files.",
    discussion: """
      Prints all findings of all files in one run, and serves nothing. Exit code 0: no errors (with --strict: no \
      warnings either), 1: findings. For several files, --format json prints one object with "files", and --format sarif \
      one run with the results of all files.

      With -f, each file is checked together with the files that are laid over it. A file for -f, or one that is included, is no \
      whole configuration: name it in this way, or through the file that includes it.

      --without-secrets is for a CI job without secrets: unset variables and missing secrets are not reported. Everything \
      else is checked.

      --connect connects to every Redis host of the layers, and sends an event from one process to another. It asks the view \
      of each route with "consumer: view" whether it would answer, and whether it refuses a question with a wrong signature. A \
      view with "protocol: websocket-over-http" is not asked, as a question without a session is a mistake there. Each \
      callback, permission and key set is asked, too, about a client that shows nothing: a refusal is a good answer. With \
      --django, a Django project also exchanges an event with Sluice in both directions, through each layer.

      --groups also prints the groups that each route can reach, the clients that can reach them, and the other routes \
      that can reach the same groups, with an example; --format json has them as "groups".

      EXAMPLES
        sluice validate
        sluice validate --strict routes.yaml examples/chat/routes.yaml
        sluice validate routes.yaml -f production.yaml
        sluice validate --without-secrets --format sarif routes.yaml > sluice.sarif
        sluice validate --groups
        sluice validate --connect --django mysite.settings --python .venv/bin/python
      """)

  @Argument(
    help: ArgumentHelp("The configuration files.", valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var paths = [ConfigurationFile.standard]

  @OptionGroup var overlay: Overlays

  @Option(help: "Format of the findings: text, json, sarif or github.")
  var format = FindingFormat.text

  @Flag(help: "Treat warnings as errors: exit code 1 if there are any.")
  var strict = false

  @Flag(help: "Do not report unset variables and missing secrets; check everything else.")
  var withoutSecrets = false

  @Flag(help: "Also print which clients can reach which groups.")
  var groups = false

  @Flag(
    help:
      "Connect to the channel layers, and send events through them; ask the views and the servers of auth.")
  var connect = false

  @Option(
    help: ArgumentHelp(
      "With --connect: the settings module of a Django project that uses the same layers; run in the project's folder.",
      valueName: "settings-module"))
  var django: String?

  @Option(
    help: ArgumentHelp(
      "With --django: the Python interpreter with the project's packages.", valueName: "path"))
  var python: String?

  func validate() throws {
    if withoutSecrets, connect {
      throw ValidationError("--connect needs the secrets, so it cannot be used with --without-secrets.")
    }
    if django != nil, !connect { throw ValidationError("--django needs --connect.") }
    if groups, format != .text, format != .json {
      throw ValidationError("--groups needs --format text or --format json.")
    }
    if python != nil, django == nil { throw ValidationError("--python needs --django.") }
  }

  func run() async throws {
    var isGood = true
    var reports: [FindingReport] = []
    for path in paths {
      let loaded = ConfigurationLoader.load(
        path: path, overlays: overlay.paths, environment: Environment.variables,
        secrets: withoutSecrets ? .unread : .read)
      var report = try await tried(loaded)
      let table = groups ? GroupTable(loaded.routeGroups) : nil
      report.groups = table
      isGood = isGood && report.errorCount == 0 && !(strict && report.warningCount > 0)
      if format == .text, report.findings.isEmpty, let configuration = loaded.configuration {
        Output.print("\(report.name): good (\(count(configuration)))".printable + "\n")
      } else {
        reports.append(report)
        if format == .text {
          Output.print(report.rendered(.text))
          if let configuration = loaded.configuration, connect {
            Output.print(tried(configuration).printable + "\n")
          }
        }
      }
      if format == .text, let table { Output.print("\n" + table.text + "\n") }
    }
    // For programs, the reports of all files are one document.
    if format != .text { Output.print(FindingReport.rendered(reports, format)) }
    if !isGood { throw ExitCode(1) }
  }

  /// The report, with the findings of trying the layers and the views if the file has no errors.
  private func tried(_ loaded: LoadedConfiguration) async throws -> FindingReport {
    guard connect, let configuration = loaded.configuration else { return loaded.report }
    let found = try await LayerTrial.run(
      configuration, django: django.map { DjangoProject(settings: $0, python: python ?? "python3") })
    return loaded.report.adding(found + (await ServerTrials(configuration).run()))
  }

  private func count(_ configuration: Configuration) -> String {
    let webSocket = configuration.served.webSocketRoutes.count
    let http = configuration.served.httpRoutes.count
    var text = "application \(configuration.served.name), \(webSocket) websocket and \(http) http routes"
    if connect { text += "; \(tried(configuration))" }
    return text
  }

  /// What was tried: `tried with Django: default; asked 2 views`.
  private func tried(_ configuration: Configuration) -> String {
    let redis = configuration.channelLayers.filter { if case .redis = $0.backend { true } else { false } }
    let names = redis.map(\.alias).joined(separator: ", ")
    let layers =
      switch (redis.isEmpty, django == nil) {
      case (true, true): "no Redis layer to try"
      case (true, false): "no Redis layer to try, so Django was not tried"
      case (false, true): "tried \(names)"
      case (false, false): "tried with Django: \(names)"
      }
    return layers + (ServerTrials(configuration).summary.map { "; \($0)" } ?? "")
  }
}

extension FindingFormat: ExpressibleByArgument {}
