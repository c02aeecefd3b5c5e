import ArgumentParser
import Bytes
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

  /// The same for a command that shows the routes, for which no secret is needed. Where one is not there, a line on standard error says
  /// so.
  static func loadToShow(_ path: String) throws -> Configuration {
    let whole = ConfigurationLoader.load(path: path, environment: Environment.variables)
    if let configuration = whole.configuration { return configuration }
    let loaded = ConfigurationLoader.load(
      path: path, environment: Environment.variables, secrets: .unreadAlone)
    // The findings of the second reading are those that are not about secrets.
    guard let configuration = loaded.configuration else {
      throw Output.failure(loaded.report.rendered(.text))
    }
    Output.error(
      "sluice: not all secrets of \(path.printable) are here, so none was looked at (\"sluice validate\" names them)"
    )
    return configuration
  }
}
