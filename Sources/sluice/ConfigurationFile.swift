import ArgumentParser
import GatewayConfig

/// The FILE argument that commands share.
struct ConfigurationFile: ParsableArguments {
  @Argument(
    help: ArgumentHelp("The configuration file.", valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var path = Self.standard

  static let standard = "routes.yaml"

  /// Loads the configuration. If it has errors, prints the findings and ends with exit code 1.
  static func load(_ path: String) throws -> Configuration {
    let loaded = ConfigurationLoader.load(path: path, environment: Environment.variables)
    guard let configuration = loaded.configuration else {
      throw Output.failure(loaded.report.rendered(.text))
    }
    return configuration
  }
}
