import LayerTestSupport

@testable import GatewayConfig

/// A file with these parts, for comparisons.
struct PlanFile {
  var webSocket: [String] = []
  var http: [String] = []
  /// Lines at the top of the file.
  var top: [String] = []

  static let secret = String(repeating: "s", count: 32)

  /// No file is without routes.
  private static let always = ["path: it/is/always/there/, consumer: echo"]

  func configuration() throws -> Configuration {
    func list(_ routes: [String]) -> String { "[\(routes.map { "{\($0)}" }.joined(separator: ", "))]" }
    let given = top.map { $0.prefix { $0 != ":" } }
    let defaults = [
      "channel_layers: {default: {backend: memory}}",
      "auth: {users: {jwt: {secret: {env: SECRET}, algorithms: [HS256]}}, others: {jwt: {secret: {env: OTHER}}}}",
    ]
    let text =
      (["installed_apps: [echo, chat, broadcast, proxy, view]"]
      + defaults.filter { !given.contains($0.prefix { $0 != ":" }) } + top + [
        "applications: {main: {websocket: \(list(webSocket + Self.always)), http: \(list(http))}}"
      ]).joined(separator: "\n")
    return try ConfigurationLoader.configuration(
      of: text,
      environment: [
        "SECRET": Self.secret, "OTHER": String(repeating: "o", count: 32),
        "TOKEN": "token-of-sixteen-bytes", "SECOND": "another-of-sixteen-bytes",
      ])
  }
}

extension ConfigurationComparison {
  init(_ old: PlanFile, _ new: PlanFile) throws {
    self.init(from: try old.configuration(), to: try new.configuration())
  }

  /// Each difference in one line, without places in files: `changed /a/ at /a/: limits.rate; closes 1012`.
  var lines: [String] {
    differences.map { difference in
      let keys = difference.changes.map(\.key)
      let codes = difference.outcomes.compactMap { outcome -> String? in
        guard case .closes(let end) = outcome else { return nil }
        return "closes \(end.code)\(difference.isMixed ? " some" : "")"
      }
      let words = (keys + codes).joined(separator: "; ")
      let head = "\(difference.effect.word) \(difference.title) at \(difference.shownExample ?? "nowhere")"
      return words.isEmpty ? head : "\(head): \(words)"
    } + settings.map { "\($0.key) needs \($0.need.rawValue)" }
  }

  var markKinds: [SecurityMark.Kind] { marks.map(\.kind) }
}
