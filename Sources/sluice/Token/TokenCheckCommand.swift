import ArgumentParser
import Bytes
import Gateway
import GatewayConfig
import Logging
import NIOPosix
import Sessions
import Transport

struct TokenCheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Show what holds of a token, and what does not.",
    discussion: """
      Makes the checks that Sluice makes when a client shows the token, and prints each of them, with the key that has signed it and \
      with its claims. A key set that is fetched by URL is fetched. "-" reads the token from standard input, so that it is in no list \
      of processes. With several authenticators, all of them are asked. Exit code 1: none accepts the token.

      EXAMPLES
        sluice token check "$TOKEN"
        sluice token check routes.yaml "$TOKEN" --auth users
        sluice token make --user 5 | sluice token check -
      """)

  @Argument(
    help: ArgumentHelp(
      "The configuration file (routes.yaml if left out), and the token.", valueName: "[file] token"))
  var arguments: [String]

  @OptionGroup var overlay: Overlays
  @OptionGroup var authenticator: TokenAuthenticator

  func validate() throws {
    guard (1...2).contains(arguments.count) else {
      throw ValidationError("check needs a token, or a file and a token.")
    }
    if let only = arguments.first, arguments.count == 1,
      [".yaml", ".yml"].contains(where: only.hasSuffix)
    {
      throw ValidationError(
        "\(only) is a file, and the token is missing: sluice token check \(only) TOKEN (or -).")
    }
  }

  private var file: String { arguments.count == 2 ? arguments[0] : ConfigurationFile.standard }

  func run() async throws {
    let configuration = try ConfigurationFile.load(file, overlays: overlay.paths)
    let candidates = try authenticator.candidates(in: configuration, file)
    let token = try Self.token(arguments[arguments.count - 1])
    let now = WallClock.secondsSinceEpoch
    var isAccepted = false
    var isFirst = true
    for candidate in candidates {
      let report = try await TokenReport.of(
        token, by: candidate, on: MultiThreadedEventLoopGroup.singleton, log: .ofCommand, at: now)
      guard let report else {
        guard candidates.count == 1 else { continue }
        throw CommandFailure(
          "\"\(candidate.name)\" asks a server who the client is (\"callback\"): only that server can check a token"
        )
      }
      Output.print((isFirst ? "" : "\n") + Self.text(report, of: candidate))
      isFirst = false
      isAccepted = isAccepted || report.isAccepted
    }
    if isFirst { throw CommandFailure("\(file) has no authenticator with \"jwt\"") }
    if !isAccepted { throw ExitCode(1) }
  }

  /// Without the white space around it, and the word that stands before it in a header.
  private static func token(_ argument: String) throws -> String {
    var text = argument
    if text == "-" { text = String(decoding: try StandardInput.read(), as: UTF8.self) }
    var words = text.split(whereSeparator: \.isWhitespace)
    if words.count == 2, ["bearer", "jwt"].contains(words[0].lowercased()) { words.removeFirst() }
    guard words.count == 1 else { throw ValidationError("A token is one word, without spaces.") }
    return String(words[0])
  }

  private static func text(_ report: TokenReport, of authenticator: AuthenticatorConfiguration) -> String {
    var text = "\(pad("auth"))     \(authenticator.name.printable)  (\(authenticator.range.place))\n"
    for line in report.lines {
      let mark =
        switch line.holds {
        case true?: "ok   "
        case false?: "no   "
        case nil: "     "
        }
      text += "\(pad(line.name))\(mark)\(line.text)\n"
    }
    return text + "\(pad("accepted"))\(report.isAccepted ? "yes" : "no")\n"
  }

  private static func pad(_ name: String) -> String {
    name + String(repeating: " ", count: max(1, 12 - name.count))
  }
}

extension Logger {
  /// For what a command does not print itself: warnings, on standard error.
  static let ofCommand = Logger(label: "sluice") { _ in
    GatewayLogHandler(.text, level: .warning, write: { Output.error($0) })
  }
}
