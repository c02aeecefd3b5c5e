import ArgumentParser
import GatewayConfig

struct TokenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token",
    abstract: "Make and check tokens for an authenticator of the configuration.",
    discussion: """
      For tests, for scripts, and for projects whose tokens no library issues. A token made here is as good as one of your \
      log-in: whoever has it is that user.

      EXAMPLES
        sluice token make --user 5
        sluice token make --user 5 --claim room=7 --claim 'roles=["staff"]' --for 15m
        sluice token check "$TOKEN"
      """,
    subcommands: [TokenMakeCommand.self, TokenCheckCommand.self])
}

/// The `--auth` option of both commands.
struct TokenAuthenticator: ParsableArguments {
  @Option(
    help: ArgumentHelp("The name of the authenticator, if the configuration has several.", valueName: "name"))
  var auth: String?

  /// The authenticators to choose from: the named one, or all.
  func candidates(in configuration: Configuration, _ file: String) throws -> [AuthenticatorConfiguration] {
    let all = configuration.authenticators
    guard !all.isEmpty else {
      throw CommandFailure(
        "\(file) has no authenticator; write one such as auth: {users: {jwt: {secret: {env: JWT_SECRET}}}}"
      )
    }
    guard let auth else { return all }
    guard let named = all.first(where: { $0.name == auth }) else {
      let names = all.map(\.name)
      let hint = NearestName.hint(for: auth, in: names) ?? "it has \(names.joined(separator: ", "))"
      throw ValidationError(
        "\(file) has no authenticator \"\(auth)\": \(hint)\(hint.hasSuffix("?") ? "" : ".")")
    }
    return [named]
  }
}
