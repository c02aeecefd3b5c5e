import ArgumentParser
import Bytes
import Gateway
import GatewayConfig
import JSON

struct SendCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "send",
    abstract: "Publish a message or an event to a group of a running gateway.",
    discussion: """
      The URL of the `publish` route and its token come from the configuration, unless options name them. The JSON is the \
      message of a chat. With --event it is a whole event; with --text the argument is plain text, the text of a broadcast. \
      "-" reads it from standard input. Exit code 1: Sluice did not publish it, or it did not reach every process.

      EXAMPLES
        sluice send chat_lobby '"doors open at 8"'
        sluice send routes.yaml news --text 'doors open at 8'
        sluice send user_5 --event '{"type": "order.paid", "id": 7}'
        date | sluice send news --text - --url https://example.com/api/publish/ --token-env PUBLISH_TOKEN
      """)

  @Argument(
    help: ArgumentHelp(
      "The configuration file (routes.yaml if left out), the group, and the JSON or text to publish.",
      valueName: "[file] group json"))
  var arguments: [String]

  @Flag(help: "Publish a text instead of JSON, as a broadcast.message.")
  var text = false

  @Flag(help: "Publish a whole event: JSON with a \"type\".")
  var event = false

  @Flag(help: "No history keeps it.")
  var ephemeral = false

  @OptionGroup var overlay: Overlays
  @OptionGroup var route: PublishRouteOptions

  @Option(
    help: ArgumentHelp(
      "Key that identifies this request: Sluice publishes only the first one with the same key.",
      valueName: "key"))
  var idempotencyKey: String?

  func validate() throws {
    guard (2...3).contains(arguments.count) else {
      throw ValidationError("send needs a group and a message, or a file, a group and a message.")
    }
    if let fault = PublishTarget.fault(inGroup: arguments[arguments.count - 2]) {
      throw ValidationError(fault + ".")
    }
    try route.check()
    if text, event { throw ValidationError("--text and --event cannot be used together.") }
    if let key = idempotencyKey {
      guard (1...255).contains(key.utf8.count), key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
        throw ValidationError("--idempotency-key must have 1 to 255 characters, without spaces.")
      }
    }
  }

  func run() async throws {
    let group = arguments[arguments.count - 2]
    let body = try body(for: group)
    do {
      let target = try route.target(in: file, overlays: overlay.paths) {
        try PublishTarget([group], in: $0, at: $1)
      }
      let client = PublishClient(trust: try route.certificates.clientTrust())
      let answer = try await client.post(body, to: target, idempotencyKey: idempotencyKey)
      try report(answer, from: target.url, group)
    } catch  where error is PublishClient.Failure || error is PublishTarget.Unknown {
      throw CommandFailure("\(error)")
    }
  }

  private var file: String { arguments.count == 3 ? arguments[0] : ConfigurationFile.standard }

  /// The body of the request. The message is passed on exactly as it was written.
  private func body(for group: String) throws -> [UInt8] {
    var given = Array(arguments[arguments.count - 1].utf8)
    if given == [UInt8(ascii: "-")] { given = try StandardInput.read() }
    var body = Array(#"{"group": "#.utf8)
    JSONText.append(string: group, to: &body)
    body += Array(", \"\(text ? "text" : event ? "event" : "message")\": ".utf8)
    if text {
      guard let string = String(validating: given, as: UTF8.self) else {
        throw ValidationError("The text is not UTF-8.")
      }
      JSONText.append(string: string, to: &body)
    } else {
      do {
        _ = try JSON.parse(given.rawBytes)
      } catch {
        throw ValidationError(
          "The message is \(error). A JSON string needs its own quotes: '\"doors open\"'.")
      }
      body += given
    }
    if ephemeral { body += Array(#", "ephemeral": true"#.utf8) }
    return body + [UInt8(ascii: "}")]
  }

  /// The URL of the publish route in the configuration; nil if it has none, or cannot be read.
  private func configuredURL(for group: String) -> String? {
    let loaded = ConfigurationLoader.load(
      path: file, overlays: overlay.paths, environment: Environment.variables)
    return loaded.configuration.flatMap { try? PublishTarget([group], in: $0, at: nil).url }
  }

  private func report(_ answer: PublishClient.Answer, from url: String, _ group: String) throws {
    let json = try? JSON.parse(answer.body.rawBytes)
    guard case .array(let published)? = json?["published"] else {
      let reason =
        json?["error"]?.string
        ?? "\(url) is not the URL of a publish route: "
        + PublishTarget.advice(for: url, configured: configuredURL(for: group))
      throw CommandFailure("\(answer.status): \(reason)")
    }
    var isGood = answer.status == 200
    for line in published {
      guard let group = line["group"]?.string, case .integer(let sessions)? = line["sessions"] else {
        continue
      }
      var text = "\(group): \(sessions) session\(sessions == 1 ? "" : "s")"
      if let id = line["id"]?.string { text += ", id \(id)" }
      if let type = line["unknown_type"]?.string { warn(ofType: type, line["nearest_type"]?.string, group) }
      if let error = line["error"]?.string {
        isGood = false
        Output.error("sluice: \(text): \(error)")
      } else {
        Output.print(text + "\n")
        if sessions == 0 { Output.error("sluice: nobody is in the group \"\(group)\" at the moment") }
      }
    }
    if !isGood { throw ExitCode(1) }
  }

  private func warn(ofType type: String, _ nearest: String?, _ group: String) {
    let hint = nearest.map { ": did you mean \"\($0)\"?" } ?? ""
    Output.error(
      "sluice: warning: no route of this gateway delivers events of type \"\(type)\" to \"\(group)\"\(hint)")
  }
}
