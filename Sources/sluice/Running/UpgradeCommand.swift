import ArgumentParser
import Bytes
import Gateway
import GatewayConfig
import JSON
import Transport

struct UpgradeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "upgrade",
    abstract: "Execute the program of a running gateway anew, which goes on with its connections.",
    discussion: """
      Does what SIGUSR2 does, and waits. The program is tried first: it loads the file and reads every session, and has 10 seconds for that. One \
      that cannot changes nothing, and the exit code is 1. Without --binary it is the file that the process was started by or, after an upgrade \
      with --binary, that one. Connections with TLS cannot be handed over, and are closed at a pace.

      EXAMPLES
        sluice upgrade
        sluice upgrade /etc/sluice/routes.yaml --binary /usr/local/bin/sluice
      """)

  @OptionGroup var gateway: RunningGatewayOptions

  @Option(
    help: ArgumentHelp(
      "The program, which later upgrades use as well, instead of that of the gateway.", valueName: "path"),
    completion: .file())
  var binary: String?

  @Option(help: "Format of the answer, text or json.")
  var format = AnswerFormat.text

  func validate() throws {
    if binary == "" { throw ValidationError("--binary \"\" names no program.") }
  }

  func run() async throws {
    let client = try await gateway.one()
    let path = binary.map {
      JSON.string(WorkingFolder.path($0, environment: Environment.variables))
    }
    let began = try await began(client)
    let tried = try await client.post("/upgrade", [("binary", path)])
    guard tried.status == 200 else {
      if format == .text, let findings = tried.json["text"]?.string { Output.show(findings) }
      throw Self.failure(tried)
    }
    try tried.has([
      ("to", .text), ("sessions", .integer), ("streams", .integer), ("closing", .integer),
      ("upgrades", .integer),
    ])
    if format == .text { announce(tried.json) }
    let status = try await wait(for: client, tried.json, began)
    if format == .json { return Output.show(tried.json) }
    if let status {
      Output.print(
        "upgraded: process \(Self.number(status, "pid")) runs version \(status["version"]?.string?.printable ?? ""), with \(Self.number(status, "sessions")) sessions and event streams\n"
      )
    } else {
      Output.print(
        "upgraded to version \(tried.json["to"]?.string?.printable ?? ""); it takes no more commands, because server.admin is false\n"
      )
    }
  }

  /// Says what becomes of the sessions, before it does.
  private func announce(_ tried: JSON) {
    let (sessions, streams) = (Self.number(tried, "sessions"), Self.number(tried, "streams"))
    Output.error(
      "sluice: \(tried["program"]?.string?.printable ?? ""), version \(tried["to"]?.string?.printable ?? ""), can take over: \(sessions) sessions and \(streams) event streams go on, \(Self.number(tried, "closing")) are closed\(Self.codes(tried))"
    )
    let waiting = Self.number(tried, "waiting")
    if waiting > 0 {
      Output.error(
        "sluice: \(waiting) of the sessions wait\(waiting == 1 ? "s" : "") for a view or for a first token now: those that still do in some seconds are closed, and are told to come back"
      )
    }
    if tried["undoes_previous"] == .bool(true) {
      Output.error("sluice: the file is served from now on, which undoes \"sluice reload --previous\"")
    }
    guard case .array(let losses)? = tried["losses"] else { return }
    for loss in losses { Output.error("sluice: may be lost: \(loss.string?.printable ?? "")") }
  }

  /// ` (1012)`, or ` (1012: 2, 4401: 1)`; empty where nobody is closed.
  private static func codes(_ tried: JSON) -> String {
    guard case .object(let codes)? = tried["closed"], let first = codes.first else { return "" }
    let words =
      codes.count == 1 ? first.key : codes.map { "\($0.key): \($0.value.text)" }.joined(separator: ", ")
    return " (\(words.printable))"
  }

  /// How long nobody may answer while one program gives its place to the other one, which loads the file then.
  private static let longestPause = Duration.seconds(30)
  /// How long a process may answer that is not being upgraded and does not say what came of it.
  private static let longestDoubt = Duration.seconds(3)

  /// Waits until the program has taken over.
  ///
  /// - Parameters:
  ///   - tried: what was found before: how often a program had done so in this process, and whether this one takes commands.
  ///   - began: when the program before has begun to serve.
  /// - Returns: its status; nil for one that takes no commands.
  private func wait(
    for client: AdminClient, _ tried: JSON, _ began: String?
  ) async throws(CommandFailure) -> JSON? {
    let before = Self.number(tried, "upgrades")
    let isLast = tried["takes_commands"] == .bool(false)
    var line = ProgressLine()
    defer { line.clear() }
    var last = MonotonicTime.now
    var doubt: MonotonicTime?
    var end: MonotonicTime?
    while MonotonicTime.now.since(last) < max(client.patience, Self.longestPause) {
      // While one program gives its place to the other one, nobody answers; and the new one may answer somewhere else.
      if let (found, progress) = await progress(of: client) {
        if Self.number(progress, "upgrades") > before { return progress }
        if progress["upgrade_refused"] != nil { throw Self.failure(of: progress) }
        if progress["under_way"]?["name"]?.string == "upgrade" {
          doubt = nil
        } else {
          // A program of another version may not count upgrades.
          if let now = try? await self.began(found, progress), now != began { return progress }
          if MonotonicTime.now.since(doubt ?? .now) > Self.longestDoubt { throw Self.unknown }
          doubt = doubt ?? .now
        }
        last = .now
        line.show(progress)
      }
      end = Self.isRunning(client) ? nil : end ?? .now
      if let end, MonotonicTime.now.since(end) >= Self.shortestEnd { throw Self.ended }
      // The new program has closed what the old one has left open.
      if isLast, await client.isClosed { return nil }
      try? await Task.sleep(for: .milliseconds(50))
    }
    throw client.silent(with: "/upgrade")
  }

  /// How long a process has to seem to have ended: one that executes a program does so for a moment.
  private static let shortestEnd = Duration.milliseconds(500)

  private static let ended = CommandFailure("the gateway has ended; its log says why", code: "ended")

  private static let unknown = CommandFailure(
    "the gateway answers, and does not say what came of the upgrade: \"sluice status\" and its log say what runs",
    code: "no-answer")

  /// When the program has begun to serve; nil before.
  private func began(_ client: AdminClient, _ progress: JSON? = nil) async throws(CommandFailure) -> String? {
    var known: JSON
    if let progress { known = progress } else { known = try await client.progress() }
    if known["started"] == nil { known = try await client.get("/status").json }
    return known["started"]?.string
  }

  /// How far the process is, wherever it answers.
  private func progress(of client: AdminClient) async -> (AdminClient, JSON)? {
    if let progress = try? await client.progress() { return (client, progress) }
    for other in others(of: client) {
      guard let progress = try? await other.progress(),
        client.gateway.process.map({ Int64($0.process) == Self.number(progress, "pid") }) ?? true
      else { continue }
      return (other, progress)
    }
    return nil
  }

  /// The same process at other addresses.
  private func others(of client: AdminClient) -> [AdminClient] {
    let found = (try? AdminSearch(for: gateway.path, environment: Environment.variables).find()) ?? []
    return found.filter { other in
      other.address != client.gateway.address
        && (other.process == nil || other.process == client.gateway.process)
    }.map(gateway.client)
  }

  private static func isRunning(_ client: AdminClient) -> Bool {
    client.gateway.process.map { OtherProcess.isRunning($0.process) } ?? true
  }

  private static func failure(_ answer: AdminClient.Answer) -> CommandFailure {
    var failure = CommandFailure(answer)
    if let refusal = answer.json["error"]?.string { failure.text = text(refusal) }
    return failure
  }

  private static func failure(of progress: JSON) -> CommandFailure {
    let refusal = progress["upgrade_refused"]?.string ?? ""
    var failure = CommandFailure(
      "nothing was upgraded: \(refusal)", code: progress["upgrade_refused_code"]?.string ?? "refused")
    failure.text = text(refusal)
    return failure
  }

  /// What the program said itself has lines of its own.
  private static func text(_ refusal: String) -> String {
    "sluice: nothing was upgraded: \(refusal)".split(separator: "\n").joined(separator: "\n")
  }

  private static func number(_ json: JSON, _ key: String) -> Int64 {
    if case .integer(let number)? = json[key] { number } else { 0 }
  }
}
