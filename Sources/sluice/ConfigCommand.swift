import ArgumentParser
import GatewayConfig
import JSON

struct ConfigCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config",
    abstract: "Print the configuration as it is in force, with the place where each value is written.",
    discussion: """
      Puts FILE, the files that it includes at its top level, and the files of -f together, replaces variables, and prints the \
      result as one YAML file. Secrets are not printed, nor are passwords in addresses; no secret has to be there. Files with \
      routes and local apps stay what they are: "sluice routes" prints all routes. Names of files are relative to the folder of \
      FILE.

      --running prints what the running gateway of FILE serves, whatever the files say by now: the values that they had when it started or \
      reloaded them, those of its environment, and those that a reload could not take on.

      EXAMPLES
        sluice config
        sluice config routes.yaml -f production.yaml
        sluice config --defaults
        sluice config --running
        sluice config --format json | jq .origins
      """)

  /// The form of the output.
  enum Format: String, CaseIterable, ExpressibleByArgument {
    case yaml, json
  }

  @OptionGroup var gateway: RunningGatewayOptions

  @OptionGroup var overlay: Overlays

  @Flag(help: "What a running gateway serves, and not what the files say now.")
  var running = false

  @Flag(help: "Also print the keys of server, limits, shutdown and logging that stand in no file.")
  var defaults = false

  @Option(help: "Format of the output: yaml, with the origins as comments, or json.")
  var format = Format.yaml

  func validate() throws {
    if running, !overlay.paths.isEmpty {
      throw ValidationError(
        "A gateway keeps the files that it was started with, so -f cannot be used with --running.")
    }
    if !running, gateway.pid != nil {
      throw ValidationError("--pid is the process of a running gateway, so it needs --running.")
    }
  }

  func run() async throws {
    if running { return try await ask() }
    let configuration = try ConfigurationFile.loadToShow(gateway.path, overlays: overlay.paths)
    guard let effective = EffectiveConfiguration(configuration, defaults: defaults) else { throw ExitCode(1) }
    switch format {
    case .yaml: Output.print(effective.yaml)
    case .json: Output.show(effective.json)
    }
  }

  private func ask() async throws {
    let answer = try await gateway.one().post("/config", [("defaults", .bool(defaults))])
    guard answer.status == 200 else { throw CommandFailure(answer) }
    try answer.has([("yaml", .text), ("json", .object)])
    switch format {
    case .yaml: Output.show(answer.json["yaml"]?.string ?? "")
    case .json: Output.show(answer.json["json"] ?? .null)
    }
  }
}
