import ArgumentParser
import Bytes
import GatewayConfig
import Routing

struct RoutesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "routes",
    abstract: "Print all routes as one table, including those of included files.",
    discussion: """
      EXAMPLES
        sluice routes
        sluice routes examples/apps/routes.yaml
      """)

  @OptionGroup var file: ConfigurationFile

  func run() throws {
    let configuration = try file.loadToShow()
    let application = configuration.served
    var rows = [["PROTOCOL", "PATH", "ANSWERS", "GROUP", "HISTORY", "AUTH", "COMPRESSION", "WHERE"]]
    for (route, path) in zip(application.httpRoutes, application.httpRouter.routes) {
      rows.append([
        "http", "/" + path.text, route.action.summary, route.events?.group.text ?? "",
        route.events?.group.history?.summary ?? "", route.auth?.description ?? "", "", route.range.place,
      ])
    }
    for (route, path) in zip(application.webSocketRoutes, application.webSocketRouter.routes) {
      rows.append([
        "websocket", "/" + path.text, route.consumer.summary, route.consumer.group?.text ?? "",
        route.consumer.group?.history?.summary ?? "", route.auth?.description ?? "",
        route.compression.map { "level \($0.level)" } ?? "", route.range.place,
      ])
    }
    Output.print(Table.aligned(rows))
  }
}

/// Aligns columns to their widest cell.
enum Table {
  static func aligned(_ rows: [[String]]) -> String {
    let rows = rows.map { $0.map(\.printable) }
    guard let first = rows.first else { return "" }
    let widths = first.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      let cells = zip(row, widths).map { cell, width in
        cell + String(repeating: " ", count: width - cell.count)
      }
      var line = cells.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line + "\n"
    }.joined()
  }
}

extension SourceRange {
  /// `routes.yaml:14`
  var place: String { "\(file.path.printable):\(start.line)" }
}

extension HTTPAction {
  var summary: String {
    switch self {
    case .staticFiles(let directory, let fallback):
      "static \(directory)\(fallback.map { ", or \($0)" } ?? "")"
    case .respond(let response): "respond \(response.status)"
    case .redirect(let target, let status): "redirect \(status) \(target.text)"
    case .proxy(let upstream): upstream.summary
    case .publish(let publish): publish.summary
    case .health(let probe): "health \(probe.rawValue)"
    case .events: "events"
    }
  }
}

extension PublishConfiguration {
  var summary: String {
    "publish \(groups.map(\.text).joined(separator: ", "))"
      + (wire == .grip ? ", protocol grip" : "")
      + (isAnonymous ? " (anybody)" : tokens.isEmpty && secrets.isEmpty ? "" : " (token)")
  }
}

extension HistoryConfiguration {
  var summary: String { "\(messages) in \(age.written)" }
}

extension UpstreamConfiguration {
  var summary: String { "proxy \(scheme.rawValue)://\(authority)" + (path?.text ?? "") }
}

extension ConsumerConfiguration {
  var summary: String {
    if let view { return "view \(view.question.shownURL)" }
    return switch groups?.writers {
    case nil, .everyone: upstream?.summary ?? type.rawValue
    case .nobody: "\(type.rawValue) (clients cannot publish)"
    case .authenticated: "\(type.rawValue) (anonymous clients cannot publish)"
    }
  }
}

extension TextTemplate {
  /// The template as it was written.
  var text: String {
    parts.map { part in
      switch part {
      case .literal(let text): text
      case .place(let name): "{\(name)}"
      }
    }.joined()
  }
}
