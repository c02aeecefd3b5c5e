import ArgumentParser
import Bytes
import GatewayConfig
import JSON

struct PlanCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Show what a changed file would change, before it does.",
    discussion: """
      Asks the running gateway what a reload of FILE would do: which paths and routes change, how many clients stay, change or are \
      closed and with which code, and which settings need an upgrade or a restart. Nothing is changed. "sluice reload --plan ID" then \
      insists on it. Values from the environment are those of the gateway's start.

      --of RUNNING asks the gateway that runs with the file RUNNING what it would do if FILE took the place of that. The gateway reads FILE.

      --against OTHER compares FILE with OTHER, which takes its place. No gateway has to run. Values from the environment are those of \
      this command. If the files lie in two folders, relative paths in them are compared as they are written. -f lays a file over both; \
      --against-overlay, over OTHER in place of those.

      Files are compared by what they mean. Paths are compared on the compiled routes, not as text: a route is unchanged if the same paths \
      lead to it with the same captures, however it is written. Each difference has an example path. What is looser than before is told \
      apart: an origin that may connect now, credentials that are not needed any more, a limit that is gone, a group that clients with \
      different rights share now.

      Exit code 0: both mean the same. 3: something changes. 4: sessions would be closed, or something is looser. 1: a file has errors, the \
      gateway would refuse a reload, no gateway runs, or it is one of another user. 2: wrong usage.

      EXAMPLES
        sluice plan
        sluice plan next.yaml --of routes.yaml
        sluice plan --against next.yaml
        sluice plan before/routes.yaml --against after/routes.yaml --format markdown
      """)

  @OptionGroup var gateway: RunningGatewayOptions

  @OptionGroup var overlay: Overlays

  @Option(
    help: ArgumentHelp("Compares FILE with this one instead of asking a gateway.", valueName: "other"),
    completion: .file(extensions: ["yaml", "yml"]))
  var against: String?

  @Option(
    name: .customLong("against-overlay"),
    help: ArgumentHelp(
      "A file that is laid over OTHER, in place of those of -f; may be given several times.",
      valueName: "file"
    ),
    completion: .file(extensions: ["yaml", "yml"]))
  var otherOverlays: [String] = []

  @Option(
    help: ArgumentHelp(
      "Asks the gateway that runs with this file, not one that runs with FILE.", valueName: "running"),
    completion: .file(extensions: ["yaml", "yml"]))
  var of: String?

  @Option(help: "text, json or markdown.")
  var format = Plan.Format.text

  func validate() throws {
    if against != nil, gateway.pid != nil || of != nil {
      throw ValidationError(
        "--against asks no gateway, so it cannot be used with \(of == nil ? "--pid" : "--of").")
    }
    if against == nil, !otherOverlays.isEmpty {
      throw ValidationError("--against-overlay is laid over the file of --against, which is missing.")
    }
    if against == nil, !overlay.paths.isEmpty {
      throw ValidationError("A gateway keeps the files that it was started with, so -f needs --against.")
    }
  }

  func run() async throws {
    let code = if let against { try compare(with: against) } else { try await ask() }
    if code != 0 { throw ExitCode(code) }
  }

  private func compare(with other: String) throws -> Int32 {
    let old = try load(gateway.path, overlay.paths)
    let new = try load(other, otherOverlays.isEmpty ? overlay.paths : otherOverlays)
    guard let plan = ComparedSide.plan(from: old, to: new) else { return 1 }
    Output.print(plan.rendered(format))
    return plan.exitCode
  }

  private func ask() async throws -> Int32 {
    let file: JSON? = of.map { _ in
      .string(WorkingFolder.path(gateway.path, environment: Environment.variables))
    }
    let answer = try await running().post("/plan", [("file", file)])
    guard answer.status == 200 else {
      var failure = CommandFailure(answer)
      if let findings = answer.json["text"]?.string { failure.text = findings }
      throw failure
    }
    try answer.has([("exitCode", .integer), ("rendered", .object)])
    guard case .integer(let code)? = answer.json["exitCode"], Self.exitCodes.contains(code),
      let text = answer.json["rendered"]?[format.rawValue]?.string
    else { throw answer.notUnderstood }
    if format == .json { Output.print(text.printableJSON) } else { Output.show(text) }
    return Int32(code)
  }

  /// Those that a process can have of its own; a shell has the others for signals.
  private static let exitCodes: ClosedRange<Int64> = 0...125

  /// The gateway that is asked.
  private func running() async throws(CommandFailure) -> AdminClient {
    var options = gateway
    if let of { options.path = of }
    do throws(CommandFailure) {
      return try await options.one()
    } catch {
      guard of == nil, error.json["code"] == "no-gateway", let sentence = error.json["error"]?.string else {
        throw error
      }
      throw CommandFailure(
        "\(sentence). \"--of RUNNING\" asks the gateway that runs with another file, and \"--against OTHER\" compares two files without a gateway",
        code: "no-gateway")
    }
  }
}

extension PlanCommand {
  /// Loads a file with its secrets or, where one is not there, with names in place of those: a secret is the same if its name is.
  private func load(_ path: String, _ overlays: [String]) throws -> ComparedSide {
    let environment = Environment.variables
    let whole = ConfigurationLoader.load(path: path, overlays: overlays, environment: environment)
    if whole.configuration != nil {
      return ComparedSide(whole, environment: environment, secrets: .read)
    }
    let named = whole.again(with: .named, environment: environment)
    guard let configuration = named.configuration else { throw CommandFailure(named.report) }
    guard configuration.hasAllAuthenticators else { throw CommandFailure(whole.report) }
    Output.error(
      "sluice: not all secrets of \(named.report.name.printable) are here, so those are compared by their names"
    )
    return ComparedSide(named, environment: environment, secrets: .named)
  }
}

extension Plan.Format: ExpressibleByArgument {}
