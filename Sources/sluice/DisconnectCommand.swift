import ArgumentParser
import Bytes
import Gateway
import GatewayConfig
import JSON
import NIOHTTP1
import Sessions

struct DisconnectCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disconnect",
    abstract: "End sessions of a running gateway, and keep their users out for a time.",
    discussion: """
      Ends the sessions for which everything that is given holds, in all processes on the same Redis. The URL of the `publish` \
      route and its token come from the configuration, unless options name them; the route needs allow: [disconnect]. With --for, \
      further handshakes are refused with 403 until then: of the user, of the user into the group, or of everybody into the \
      group. Exit code 1: Sluice did not do it, or not every process may know of it.

      EXAMPLES
        sluice disconnect --user 5
        sluice disconnect --user 5 --group chat_lobby --for 10m --reason 'be nice'
        sluice disconnect --list
        sluice disconnect --lift --user 5
      """)

  @OptionGroup var file: ConfigurationFile

  @Option(help: "The user whose sessions are meant.")
  var user: String?

  @Option(help: "A group that the sessions are in.")
  var group: String?

  @Option(help: "The address of one session, as {channel} shows it.")
  var address: String?

  @Option(
    name: .customLong("for"),
    help: ArgumentHelp("How long the user is kept out: 30s, 10m, 1h, 7d.", valueName: "time"))
  var time: String?

  @Option(help: "The text for the clients, at most 123 bytes.")
  var reason: String?

  @Flag(help: "List the users and groups that are kept out.")
  var list = false

  @Flag(help: "Let a user, or everybody, in again.")
  var lift = false

  @OptionGroup var route: PublishRouteOptions

  private var isNamed: Bool { user != nil || group != nil || address != nil }

  func validate() throws {
    try route.check()
    if let url = route.url, ["/disconnect", "/disconnect/"].contains(where: url.hasSuffix) {
      throw ValidationError(
        "--url is the URL of the publish route itself, without \"disconnect\" at its end.")
    }
    if list {
      guard !isNamed, !lift, time == nil, reason == nil else {
        throw ValidationError("--list stands alone, but for --url and --token-env.")
      }
      return
    }
    if lift, address != nil || time != nil || reason != nil {
      throw ValidationError("--lift takes --user and --group only.")
    }
    if let group, let fault = PublishTarget.fault(inGroup: group) { throw ValidationError(fault + ".") }
    if time != nil, address != nil {
      throw ValidationError("An address ends with its session, so --for needs --user or --group alone.")
    }
    if let time, Duration(written: time, in: StandingOrder.times) == nil {
      throw ValidationError("--for \(time) is not a time from 1s to 365d, such as 10m.")
    }
  }

  func run() async throws {
    // Not while the arguments are read: the parser is to name a misspelt option, which may be the missing one.
    guard list || isNamed else {
      throw ValidationError("Say whose sessions: --user, --group or --address.")
    }
    do {
      let client = PublishClient(trust: try route.certificates.clientTrust())
      var target = try target()
      if !target.url.hasSuffix("/") { target.url += "/" }
      target.url += PublishConfiguration.Operation.disconnect.rawValue
      if list { return try report(list: try await client.send(.GET, to: target), target.url) }
      if lift {
        let query = [("user", user), ("group", group)].compactMap { name, value in
          value.map { "\(name)=\($0.percentEncodedComponent)" }
        }
        target.url += "?" + query.joined(separator: "&")
        return try report(try await client.send(.DELETE, to: target), target.url)
      }
      try report(try await client.post(body, to: target), target.url)
    } catch  where error is PublishClient.Failure || error is PublishTarget.Unknown {
      throw CommandFailure("\(error)")
    }
  }

  private func target() throws -> PublishTarget {
    try route.target(in: file.path, overlays: file.overlays) { configuration, url in
      try PublishTarget(for: .disconnect, group.map { [$0] } ?? [], in: configuration, at: url)
    }
  }

  private var body: [UInt8] {
    let all = [
      ("user", user), ("group", group), ("address", address), ("for", time), ("reason", reason),
    ]
    return JSON.object(
      all.compactMap { name, value in value.map { JSON.Member(key: name, value: .string($0)) } }
    ).bytes
  }

  // MARK: - Answers

  private func report(list answer: PublishClient.Answer, _ url: String) throws {
    let json = try? JSON.parse(answer.body.rawBytes)
    guard case .array(let orders)? = json?["orders"] else { throw Self.failure(answer, json, url) }
    for order in orders {
      Output.print("\(Self.words(for: order)): \(order["reason"]?.string?.printable ?? "")\n")
    }
    if orders.isEmpty { Output.error("sluice: nobody is kept out") }
  }

  private func report(_ answer: PublishClient.Answer, _ url: String) throws {
    let json = try? JSON.parse(answer.body.rawBytes)
    if lift, case .bool(let lifted)? = json?["lifted"] {
      Output.print(
        "\(Self.words(for: json ?? .null)): \(lifted ? "may come in again" : "was not kept out")\n")
    } else if case .integer(let sessions)? = json?["sessions"] {
      let isUnfinished = json?["unfinished"] == .bool(true)
      Output.print(
        "\(Self.words(for: json ?? .null)): \(sessions) session\(sessions == 1 ? "" : "s")\(isUnfinished ? " so far" : "")\n"
      )
    } else {
      throw Self.failure(answer, json, url)
    }
    if let error = json?["error"]?.string { throw CommandFailure("\(error)") }
  }

  /// `user 5, group chat_lobby, until Sun, 29 Nov 2026 13:00:00 GMT`
  private static func words(for order: JSON) -> String {
    var words = ["user", "group", "address"].compactMap { name in
      order[name]?.string.map { "\(name) \($0.printable)" }
    }
    if case .integer(let until)? = order["until"] { words.append("until \(HTTPDate.text(of: Int(until)))") }
    return words.joined(separator: ", ")
  }

  private static func failure(_ answer: PublishClient.Answer, _ json: JSON?, _ url: String) -> CommandFailure
  {
    let reason = json?["error"]?.string?.printable ?? "\(url) is not below the URL of a publish route"
    return CommandFailure("\(answer.status): \(reason)")
  }
}
