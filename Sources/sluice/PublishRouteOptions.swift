import ArgumentParser
import Gateway
import GatewayConfig

/// Which publish route a command speaks with, where the configuration is not to say it.
struct PublishRouteOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("URL of the publish route, instead of the one in the configuration.", valueName: "url")
  )
  var url: String?

  @Option(
    help: ArgumentHelp(
      "Environment variable with the token, instead of the one in the configuration.", valueName: "name"))
  var tokenEnv: String?

  @OptionGroup var certificates: TrustOptions

  /// - Throws: wrong usage.
  func check() throws {
    try PublishAddress.check(url)
    if let tokenEnv { _ = try PublishToken.read(from: tokenEnv) }
  }

  /// Values that are not given as options come from the configuration.
  ///
  /// - Parameters:
  ///   - file: the path of the configuration, which is only read if it is needed.
  ///   - overlays: the files that are laid over it.
  ///   - find: the route of the configuration, at this URL if there is one.
  func target(
    in file: String, overlays: [String],
    _ find: (_ configuration: Configuration, _ url: String?) throws -> PublishTarget
  ) throws -> PublishTarget {
    let token = tokenEnv.flatMap { Environment.variables[$0] }
    if let url, token != nil { return PublishTarget(url: url, token: token) }
    var target = try find(try ConfigurationFile.load(file, overlays: overlays), url)
    if let token { target.token = token }
    return target
  }
}
