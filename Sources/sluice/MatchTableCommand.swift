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
    let router: Router
    do throws(PatternFault) {
      router = Router(try tables.map(Self.route))
    } catch {
      return ["fault": .string(error.message)]
    }
    for case .ambiguousPrefix in router.findings { return ["fault": "ambiguous prefix"] }
    let matches = paths.map { path -> JSON in
      guard case .string(let text) = path, let match = router.match(RequestPath(text: text)) else {
        return .null
      }
      let captures = match.captures.all.map { JSON.Member(key: $0.name, value: .string($0.value)) }
      return ["route": .number(match.route), "captures": .object(captures)]
    }
    return ["matches": .array(matches)]
  }

  private static func route(_ json: JSON) throws(PatternFault) -> RoutePath {
    guard case .array(let patterns) = json else { return RoutePath([]) }
    var parsed: [RoutePattern] = []
    for (index, pattern) in patterns.enumerated() {
      guard case .array(let pair) = pattern, pair.count == 2, case .string(let kind) = pair[0],
        case .string(let text) = pair[1]
      else { continue }
      let role: RoutePattern.Role = index + 1 == patterns.count ? .endpoint : .prefix
      parsed.append(try RoutePattern.parse(text, as: kind == "path" ? .path : .regex, role: role).get())
    }
    return RoutePath(parsed)
  }
}
