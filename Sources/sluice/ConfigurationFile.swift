import ArgumentParser
import GatewayConfig

/// The FILE argument that commands share.
struct ConfigurationFile: ParsableArguments {
  @Argument(
    help: ArgumentHelp("The configuration.", valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var path = "routes.yaml"

  /// The configuration; with errors it prints the findings and ends with 1.
  func load() throws -> Configuration {
    let loaded = ConfigurationLoader.load(path: path, environment: Environment.variables)
    guard let configuration = loaded.configuration else {
      Output.error(loaded.report.rendered(.text))
      throw ExitCode(1)
    }
    return configuration
  }
}
