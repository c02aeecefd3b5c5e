import ArgumentParser
import Bytes
import GatewayConfig
import JSON

struct ReloadCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reload",
    abstract: "Have a running gateway serve what its file says now.",
    discussion: """
      Does what SIGHUP does, waits until every client has had its turn, and prints what became of them. A file with errors changes nothing: \
      its findings are printed as by `validate`, with exit code 1.

      --previous undoes the last reload, and a second one undoes that. The file stays as it is, and secrets are those of today.

      EXAMPLES
        sluice reload
        sluice reload /etc/sluice/routes.yaml --plan 5f0c1a9e77b2
        sluice reload --previous
      """)

  @OptionGroup var gateway: RunningGatewayOptions

  @Flag(help: "Serve what was served before the last reload, whatever the file says.")
  var previous = false

  @Option(
    help: ArgumentHelp(
      "Only if the file and what is served are still those of this plan (`sluice plan`).", valueName: "id"))
  var plan: String?

  @Option(help: "Format of the answer, text or json.")
  var format = AnswerFormat.text

  func validate() throws {
    if let plan, let fault = Plan.fault(ofID: plan) {
      throw ValidationError("--plan \(plan.isEmpty ? "\"\"" : plan.printable) \(fault).")
    }
    if previous, plan != nil { throw ValidationError("--previous and --plan cannot be used together.") }
  }

  func run() async throws {
    let answer = try await gateway.one().post(
      "/reload", [("previous", previous ? true : nil), ("plan", plan.map { .string($0) })])
    let isGood = answer.status == 200
    if format == .text, let findings = answer.json["text"]?.string { Output.show(findings) }
    guard isGood else { throw CommandFailure(answer) }
    try answer.has([
      ("hash", .text), ("seconds", .number), ("stayed", .integer), ("changed", .integer), ("closed", .object),
    ])
    if !answer.isPrinted(as: format) { Output.show(Self.words(for: answer.json)) }
  }

  /// `reloaded in 0.041s: 985 sessions stay, 12 of them with other options, 3 are closed (1012: 3); hash 5f0c1a9e77b2`
  private static func words(for answer: JSON) -> String {
    func number(_ key: String) -> Int64 { if case .integer(let number)? = answer[key] { number } else { 0 } }
    var codes: [JSON.Member] = []
    if case .object(let members)? = answer["closed"] { codes = members }
    let closed = codes.reduce(Int64(0)) { if case .integer(let count) = $1.value { $0 + count } else { $0 } }
    let shown = codes.map { "\($0.key): \($0.value.text)" }.joined(separator: ", ")
    var lines = [
      "reloaded in \(answer["seconds"]?.text ?? "0")s: \(number("stayed")) stay as they are, \(number("changed")) go on with other options, \(closed) closed\(closed > 0 ? " (\(shown))" : "")",
      "hash \(answer["hash"]?.string ?? "")",
    ]
    if answer["served_from"]?.string == "previous" {
      lines.append(
        "the file still says something else: the next reload, SIGHUP or upgrade serves the file")
    }
    if case .array(let settings)? = answer["needs_upgrade"] {
      lines += settings.map { setting in
        "needs \(SettingChange.Need.upgrade.words): \(setting["key"]?.string ?? "") stays \(setting["served"]?.string ?? ""), the file says \(setting["file"]?.string ?? "")"
      }
    }
    if number("arriving") > 0 { lines.append("\(number("arriving")) more are coming in, and judged then") }
    if case .array(let settings)? = answer["without_effect"] {
      lines += settings.map { setting in
        "no effect: \(setting["key"]?.string ?? "") \(setting["file"]?.string ?? ""), because the gateway was started with \(setting["because"]?.string ?? "")"
      }
    }
    var text = lines.map { $0.printable + "\n" }.joined()
    if case .array(let routes)? = answer["routes"], !routes.isEmpty {
      let rows = routes.map { route in
        [route["route"]?.string ?? "", route["sessions"]?.text ?? "", route["outcome"]?.string ?? ""]
      }
      text += "\n" + Table.aligned([["ROUTE", "SESSIONS", "OUTCOME"]] + rows)
    }
    return text
  }
}
