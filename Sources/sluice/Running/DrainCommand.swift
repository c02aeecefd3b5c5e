import ArgumentParser
import Bytes
import GatewayConfig
import JSON

struct DrainCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drain",
    abstract: "Stop a running gateway, and wait until its sessions have ended.",
    discussion: """
      Does what SIGTERM does, and waits: the gateway accepts nothing more, closes its sessions over the grace, and ends. Prints how many \
      sessions were closed, and how many were left when the grace was over. Ctrl-C ends the waiting, and not the drain. \
      Exit code 1: no gateway runs, it is one of another user, or it ended before it could answer.

      EXAMPLES
        sluice drain
        sluice drain /etc/sluice/routes.yaml --grace 2m
        sluice drain --format json
      """)

  @OptionGroup var gateway: RunningGatewayOptions

  @Option(
    help: ArgumentHelp(
      "The time in which sessions are closed, instead of `shutdown.grace`.", valueName: "time"))
  var grace: String?

  @Option(help: "Format of the answer, text or json.")
  var format = AnswerFormat.text

  func validate() throws {
    let times = ShutdownConfiguration.graces
    if let grace, Duration(written: grace, in: times) == nil {
      throw ValidationError(
        "--grace \(grace) is not a time from 0s to \(times.upperBound.written), such as 30s.")
    }
  }

  func run() async throws {
    let client = try await gateway.one()
    if format == .text { await announce(client) }
    let answer = try await client.post("/drain", [("grace", grace.map { .string($0) })])
    guard answer.status == 200 else { throw CommandFailure(answer) }
    try answer.has([("closed", .integer), ("cut", .integer), ("seconds", .number)])
    if !answer.isPrinted(as: format) { Output.show(Self.words(for: answer.json) + "\n") }
  }

  /// Says what is waited for, because it may take minutes.
  private func announce(_ client: AdminClient) async {
    guard let status = try? await client.get("/status").json,
      case .integer(let sessions)? = status["sessions"]
    else { return }
    // It is refused.
    if case .object? = status["under_way"] { return }
    if let delay = status["delay"]?.string {
      Output.error(
        "sluice: for \(delay.printable) the gateway goes on serving, and is not ready (shutdown.delay); the grace begins then"
      )
    }
    guard sessions > 0 else { return }
    let time = grace ?? status["grace"]?.string?.printable ?? "the grace"
    Output.error("sluice: \(sessions) session\(sessions == 1 ? " is" : "s are") closed within \(time)")
  }

  /// `drained: 120 sessions were closed in 8.2s`
  private static func words(for answer: JSON) -> String {
    guard case .integer(let closed)? = answer["closed"], case .integer(let cut)? = answer["cut"],
      let seconds = answer["seconds"]?.text
    else { return answer.text }
    let left = cut == 0 ? "" : "; \(cut) that had not ended by then \(cut == 1 ? "was" : "were") cut off"
    return "drained: \(closed) session\(closed == 1 ? " was" : "s were") closed in \(seconds)s\(left)"
  }
}
