import ArgumentParser
import Bytes
import GatewayConfig

/// The FILE argument that commands share, with the files that are laid over it.
struct ConfigurationFile: ParsableArguments {
  @Argument(
    help: ArgumentHelp("The configuration file.", valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var path = Self.standard

  @OptionGroup var overlay: Overlays

  static let standard = "routes.yaml"

  /// The files that are laid over it, in this order.
  var overlays: [String] { overlay.paths }

  func load() throws -> Configuration { try Self.load(path, overlays: overlays) }

  func loadToShow() throws -> Configuration { try Self.loadToShow(path, overlays: overlays) }

  /// Loads the configuration. If it has errors, prints the findings and ends with exit code 1.
  static func load(_ path: String, overlays: [String] = []) throws -> Configuration {
    let loaded = ConfigurationLoader.load(
      path: path, overlays: overlays, environment: Environment.variables)
    guard let configuration = loaded.configuration else {
      throw CommandFailure(loaded.report)
    }
    return configuration
  }

  /// The same for a command that shows the routes, for which no secret is needed. Where one is not there, a line on standard error says
  /// so.
  static func loadToShow(_ path: String, overlays: [String] = []) throws -> Configuration {
    let whole = ConfigurationLoader.load(path: path, overlays: overlays, environment: Environment.variables)
    if let configuration = whole.configuration { return configuration }
    let loaded = whole.again(with: .unreadAlone, environment: Environment.variables)
    // The findings of the second reading are those that are not about secrets.
    guard let configuration = loaded.configuration else { throw CommandFailure(loaded.report) }
    Output.error(
      "sluice: not all secrets of \(loaded.report.name.printable) are here, so none was looked at (\"sluice validate\" names them)"
    )
    return configuration
  }
}

/// The files that are laid over the configuration.
struct Overlays: ParsableArguments {
  @Option(
    name: [.customShort("f"), .customLong("overlay")],
    help: ArgumentHelp(
      "A file that is laid over the configuration, and changes what it says; may be given several times.",
      valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var paths: [String] = []
}
