import ArgumentParser
import Bytes
import Gateway
import JSON

struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Tell what a running gateway serves, and how many sessions each route has.",
    discussion: """
      The gateway is found by its file, which may be broken by now. Where several run with the file, all are shown. Exit code 1: none runs, \
      it is one of another user, or it does not answer.

      EXAMPLES
        sluice status
        sluice status /etc/sluice/routes.yaml --format json
      """)

  @OptionGroup var gateway: RunningGatewayOptions

  @Option(help: "Format of the answer, text or json: a line for each gateway.")
  var format = AnswerFormat.text

  func run() async throws {
    var isFirst = true
    var isGood = true
    for client in try await gateway.all() {
      do throws(CommandFailure) {
        let answer = try await client.get("/status")
        guard answer.status == 200 else { throw CommandFailure(answer) }
        try answer.has([("version", .text), ("pid", .integer), ("state", .text)])
        if answer.isPrinted(as: format) { continue }
        Output.show((isFirst ? "" : "\n") + Self.words(for: answer.json, at: "\(client.gateway.address)"))
        isFirst = false
      } catch {
        // The others are asked all the same.
        Output.tell(error, asJSON: printsJSON)
        isGood = false
      }
    }
    if !isGood { throw ExitCode(1) }
  }

  private static func words(for status: JSON, at address: String) -> String {
    var lines = [
      "sluice \(text(status, "version")), process \(text(status, "pid")): \(text(status, "state"))"
    ]
    if let program = status["program"]?.string {
      let isOther = status["program_is_other"] == .bool(true)
      lines.append(
        "program   \(program)"
          + (isOther ? ": what lies there now is not what runs, until sluice upgrade executes it" : ""))
    }
    lines.append("file      \(text(status, "file"))")
    if case .array(let addresses)? = status["listening"], !addresses.isEmpty {
      lines.append("listening \(addresses.compactMap(\.string).joined(separator: ", "))")
    }
    if let hash = status["hash"]?.string { lines.append("hash      \(hash)") }
    if status["served_from"]?.string == "previous" {
      lines.append(
        "served    what was served before (reload --previous), not what the file says: the next reload, SIGHUP or upgrade serves the file"
      )
    }
    lines += files(of: status)
    if let started = status["started"]?.string, let seconds = status["uptime_seconds"]?.seconds {
      lines.append("started   \(started), \(seconds.inWords) ago")
    }
    lines.append("commands  \(address)")
    lines.append(
      "sessions  \(text(status, "sessions")), with \(text(status, "connections")) of at most \(text(status, "connection_limit")) connections"
    )
    if let left = status["grace_left_seconds"]?.seconds { lines.append("ends in   \(left.inWords)") }
    if let operation = status["under_way"], case .object = operation {
      lines.append("now       \(text(operation, "name")), since \(text(operation, "since"))")
    }
    if case .array(let busy)? = status["busy_reactors"] {
      lines.append(
        "warning   reactors that do not answer: \(busy.map(\.text).joined(separator: ", ")); their sessions are not in the table"
      )
    }
    return lines.map { $0.printable + "\n" }.joined() + table(of: status)
  }

  /// More are only printed as JSON.
  private static let mostFiles = 20

  /// The files that were read, where they are more than one: `          9c1d2e3f4a5b production.yaml (overlay)`.
  private static func files(of status: JSON) -> [String] {
    guard case .array(let files)? = status["files"], files.count > 1 else { return [] }
    let lines = files.prefix(mostFiles).map { file in
      let digest = file["sha256"]?.string.map { String($0.prefix(12)) } ?? "not hashed  "
      return "\(digest) \(text(file, "path")) (\(text(file, "use")))"
    }
    let left = files.count - lines.count
    let all = lines + (left > 0 ? ["and \(left) more (--format json)"] : [])
    return zip(["files     "] + repeatElement("          ", count: all.count), all).map { $0 + $1 }
  }

  private static func table(of status: JSON) -> String {
    guard case .array(let routes)? = status["routes"], !routes.isEmpty else { return "" }
    let rows = routes.map { route in
      ["route", "protocol", "consumer", "sessions"].map { text(route, $0) }
    }
    return "\n" + Table.aligned([["ROUTE", "PROTOCOL", "CONSUMER", "SESSIONS"]] + rows)
  }

  /// A member as text; empty where it is null or missing.
  private static func text(_ json: JSON, _ key: String) -> String {
    switch json[key] {
    case nil, .null: ""
    case .string(let text): text
    case let value?: value.text
    }
  }
}

extension JSON {
  /// A number of seconds as a time; nil for anything else.
  var seconds: Duration? {
    switch self {
    case .integer(let seconds): .seconds(seconds)
    case .double(let seconds): .milliseconds(Int64(seconds * 1000))
    default: nil
    }
  }
}

extension Duration {
  /// `3d 4h`, `5m 2s`, `0s`: the two largest units, for people.
  var inWords: String {
    var left = Int(self / .seconds(1))
    var words: [String] = []
    for (unit, size) in [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)] {
      let count = left / size
      left %= size
      if count > 0 { words.append("\(count)\(unit)") }
    }
    return words.isEmpty ? "0s" : words.prefix(2).joined(separator: " ")
  }
}
