import ArgumentParser
import Bytes
import GatewayConfig
import JSON
import Logging
import NIOPosix
import Sessions
import Transport

struct TokenMakeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "make",
    abstract: "Print a token that is signed with the secret of an authenticator.",
    discussion: """
      The token has the user, the times, and the first audience and issuer that the configuration requires. A claim's value is JSON, \
      or else text: room=7 is a number, room='"7"' and room=lobby are texts. A claim that is given replaces one that would be \
      made, so exp=1 makes a token that has expired; a warning tells if the authenticator would refuse the token. Exit code 1: \
      no token can be made, as for an authenticator that has only public keys.

      EXAMPLES
        sluice token make --user 5
        sluice token make routes.yaml --auth users --user ann --claim room=7 --for 15m
        curl -H "Authorization: Bearer $(sluice token make --user 5)" http://127.0.0.1:8000/events/me/
      """)

  @OptionGroup var file: ConfigurationFile
  @OptionGroup var authenticator: TokenAuthenticator

  @Option(help: "The user: the value of the claim that names the user.")
  var user: String?

  @Option(
    help: ArgumentHelp("A further claim; may be given several times.", valueName: "name=value"),
    transform: { text throws in try TokenClaim(text) })
  var claim: [TokenClaim] = []

  @Option(
    name: .customLong("for"),
    help: ArgumentHelp("How long the token is valid: 30s, 15m, 1h, 7d.", valueName: "time"))
  var time = "1h"

  private static let times = Duration.seconds(1)...Duration.seconds(3650 * 86400)

  func validate() throws {
    if let user, !(1...255).contains(user.utf8.count) {
      throw ValidationError("--user must have 1 to 255 bytes.")
    }
    if Duration(written: time, in: Self.times) == nil {
      throw ValidationError("--for \(time) is not a time from 1s to 3650d, such as 15m or 1h.")
    }
    for (place, claim) in claim.enumerated()
    where self.claim[..<place].contains(where: { $0.name == claim.name }) {
      throw ValidationError("--claim \(claim.name) is given twice; a list is written \(claim.name)='[1, 2]'.")
    }
  }

  func run() async throws {
    let configuration = try file.load()
    let (authenticator, issuer) = try choose(from: authenticator.candidates(in: configuration, file.path))
    if user == nil, !claim.contains(where: { issuer.namesUser($0.name) }) {
      throw ValidationError("A token needs a user: --user 5.")
    }
    if user != nil, let twice = claim.first(where: { issuer.namesUser($0.name) }) {
      throw ValidationError("The claim \(twice.name) names the user: give it or --user, not both.")
    }
    let now = WallClock.secondsSinceEpoch
    let valid = Duration(written: time, in: Self.times) ?? .seconds(3600)
    let claims = issuer.claims(
      user: user, for: valid, claim.map { .init(key: $0.name, value: $0.value) }, at: now)
    let token = try await issuer.token(claims)
    Output.print(token + "\n")
    let report = try await TokenReport.of(
      token, by: authenticator, on: MultiThreadedEventLoopGroup.singleton, log: .ofCommand, at: now)
    for fault in report?.lines ?? [] where fault.holds == false {
      Output.error(
        "sluice: warning: \"\(authenticator.name)\" refuses this token: \(fault.name): \(fault.text)")
    }
  }

  /// The one that can sign.
  private func choose(
    from all: [AuthenticatorConfiguration]
  ) throws -> (AuthenticatorConfiguration, TokenIssuer) {
    var found: [(AuthenticatorConfiguration, TokenIssuer)] = []
    var refusals: [TokenIssuer.Refusal] = []
    for authenticator in all {
      do throws(TokenIssuer.Refusal) {
        found.append((authenticator, try TokenIssuer(for: authenticator)))
      } catch {
        refusals.append(error)
      }
    }
    guard let first = found.first else {
      throw CommandFailure(refusals.map { "\($0)" }.joined(separator: "\nsluice: "))
    }
    guard found.count == 1 else {
      let names = found.map(\.0.name).joined(separator: ", ")
      throw ValidationError(
        "\(file.path) has several authenticators with a secret: choose one of \(names) with --auth.")
    }
    return first
  }
}

/// A `--claim`: its name, and its value as JSON.
struct TokenClaim {
  var name: String
  var value: JSON

  init(_ text: String) throws {
    guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
      throw ValidationError("a claim is written NAME=VALUE, such as room=7")
    }
    name = String(text[..<equals])
    let written = text[text.index(after: equals)...]
    if let json = try? JSON.parse(Array(written.utf8).rawBytes, strings: .compared) {
      value = json
    } else if let first = written.first, "{[\"".contains(first) {
      throw ValidationError("the value of \(name) begins like JSON and is not JSON")
    } else {
      value = .string(String(written))
    }
  }
}
