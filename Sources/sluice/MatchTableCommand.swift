import ArgumentParser
import Bytes
import JSON
import Routing

/// Compiles tables of routes and matches paths against them, one JSON object per line. The tests compare the router with
/// Django's by it.
struct MatchTableCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "match-table", abstract: "Match paths against tables of routes (for Sluice's own tests).",
    shouldDisplay: false)

  func run() throws {
    while let line = readLine() {
      Output.print(answer(Array(line.utf8)).text + "\n")
    }
  }

  /// `{"routes": [[["path" | "re_path", text], ...], ...], "paths": [...]}`
  private func answer(_ line: [UInt8]) -> JSON {
    guard let request = try? JSON.parse(line.rawBytes), case .array(let tables)? = request["routes"],
      case .array(let paths)? = request["paths"]
    else { return ["fault": "not a table"] }
    var routes: [RoutePath] = []
    for table in tables {
      switch Self.route(table) {
      case .success(let route): routes.append(route)
      case .failure(let fault): return ["fault": .string(fault.message)]
      }
    }
    let router = Router(routes)
    for case .ambiguousPrefix in router.findings {
      return ["fault": "ambiguous prefix"]
    }
    let matches = paths.map { path -> JSON in
      guard case .string(let text) = path, let match = router.match(RequestPath(text: text)) else {
        return .null
      }
      let captures = match.captures.all.map { JSON.Member(key: $0.name, value: .string($0.value)) }
      return ["route": .number(match.route), "captures": .object(captures)]
    }
    return ["matches": .array(matches)]
  }

  private static func route(_ json: JSON) -> Result<RoutePath, PatternFault> {
    guard case .array(let patterns) = json else { return .success(RoutePath([])) }
    var parsed: [RoutePattern] = []
    for (index, pattern) in patterns.enumerated() {
      guard case .array(let pair) = pattern, pair.count == 2, case .string(let kind) = pair[0],
        case .string(let text) = pair[1]
      else { continue }
      let role: RoutePattern.Role = index + 1 == patterns.count ? .endpoint : .prefix
      switch RoutePattern.parse(text, as: kind == "path" ? .path : .regex, role: role) {
      case .success(let pattern): parsed.append(pattern)
      case .failure(let fault): return .failure(fault)
      }
    }
    return .success(RoutePath(parsed))
  }
}
