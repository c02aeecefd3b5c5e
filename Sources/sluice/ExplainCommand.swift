import ArgumentParser
import Bytes
import GatewayConfig
import Routing
import Sessions

struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Show which route answers a URL, and why.",
    discussion: """
      Prints the route that answers a WebSocket handshake and the one that answers an HTTP request, each with its line in \
      the file, its captures, its groups, and the checks that a client has to pass. Characters that \
      a browser percent-encodes may stand here as they are. Exit code 1: no route answers.

      EXAMPLES
        sluice explain /ws/chat/lobby/
        sluice explain other.yaml /ws/chat/lobby/
        sluice explain routes.yaml ws://localhost:8000/ws/echo/
      """)

  @Argument(
    help: ArgumentHelp(
      "The configuration file (routes.yaml if left out), and the path or the whole URL.",
      valueName: "[file] url"))
  var arguments: [String]

  @OptionGroup var overlay: Overlays

  func validate() throws {
    guard (1...2).contains(arguments.count) else {
      throw ValidationError("explain needs a URL, or a file and a URL.")
    }
    if arguments.count == 1, Self.isFile(arguments[0]) {
      throw ValidationError("explain needs a URL after the file: explain \(arguments[0]) /ws/chat/lobby/")
    }
  }

  /// The file and the URL, in either order.
  private var named: (file: String, url: String) {
    guard arguments.count == 2 else { return (ConfigurationFile.standard, arguments[0]) }
    let isReversed = Self.isFile(arguments[1]) && !Self.isFile(arguments[0])
    return isReversed ? (arguments[1], arguments[0]) : (arguments[0], arguments[1])
  }

  private static func isFile(_ text: String) -> Bool { [".yaml", ".yml"].contains(where: text.hasSuffix) }

  func run() throws {
    let (file, url) = named
    let configuration = try ConfigurationFile.loadToShow(file, overlays: overlay.paths)
    let path = try Self.path(of: url)
    let application = configuration.served
    Output.print("path       /\(path.text.printable)\n")
    Output.print("tls        \(tls(configuration.server))\n")
    let target = Self.target(of: url)
    let webSocket = application.webSocketRouter.match(path)
    let http = application.httpRouter.match(path)
    // Why a request is refused, though a route matches its path.
    let webSocketRefusal = webSocket.flatMap { match in
      application.webSocketRoutes[match.route].consumer.upstream?.refusal(of: target, path, match)
    }
    let httpRefusal = http.flatMap { match -> String? in
      guard case .proxy(let upstream) = application.httpRoutes[match.route].action else { return nil }
      return upstream.refusal(of: target, path, match)
    }
    Output.print("\nwebsocket  ")
    if let webSocket {
      Output.print(explain(webSocket, webSocketRefusal, application))
    } else {
      let code = application.unmatchedHandshakes.refusals == .close ? "4404" : "404"
      Output.print("\(code): no route\(application.webSocketRouteHint(path).map { "; \($0)" } ?? "")\n")
    }
    Output.print("\nhttp       ")
    if let http {
      Output.print(explain(http, httpRefusal, http: application))
    } else if webSocket != nil {
      Output.print("426: the path is for WebSocket clients only\n")
    } else {
      Output.print("404: no route\(application.httpRouteHint(path).map { "; \($0)" } ?? "")\n")
    }
    let isAnswered = webSocket != nil && webSocketRefusal == nil || http != nil && httpRefusal == nil
    if !isAnswered { throw ExitCode(1) }
  }

  private static func path(of url: String) throws -> RequestPath {
    // The replacement character stands for bytes that are not text.
    guard !url.unicodeScalars.contains("\u{FFFD}") else {
      throw CommandFailure(
        "\"\(url.printable)\" has bytes that are not UTF-8 (write each as % and two hex digits); Sluice would answer 400"
      )
    }
    guard case .success(let path) = RequestPath.decode(target: Array(url.utf8)) else {
      throw CommandFailure(
        "\"\(url.printable)\" is neither a path nor a URL (a path begins with \"/\"); Sluice would answer 400"
      )
    }
    return path
  }

  /// The target of a request for the URL.
  private static func target(of url: String) -> String {
    guard !url.hasPrefix("/") else { return url }
    // Behind the scheme, nothing and the authority.
    let parts = url.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
    return parts.count == 4 ? "/\(parts[3])" : "/"
  }

  private func explain(
    _ match: RouteMatch, _ refusal: String?, _ application: ApplicationConfiguration
  ) -> String {
    let route = application.webSocketRoutes[match.route]
    var text = "\(route.name.printable)  (\(route.range.place))\n"
    let isClosed = route.refusals == .close
    if let refusal { return text + "answers    \(isClosed ? "4400" : "400"): \(refusal)\n" }
    text += "consumer   \(route.consumer.summary.printable)\n"
    text += captures(match)
    if let view = route.consumer.view { text += ExplainedView(view: view, captures: match.captures).text }
    if let groups = route.consumer.group { text += explain(groups, match.captures) }
    for option in route.options.explained {
      let gap = String(repeating: " ", count: max(1, 11 - option.name.count))
      text += "\(option.name)\(gap)\(option.text)\n"
    }
    if let auth = route.auth { text += "auth       \(auth)\n" }
    text += "origin     \(origin(route.origins))\n"
    if isClosed {
      let codes = Refusal.closeCodes.joined(separator: ", ")
      text += "refusals   the handshake is accepted and closed with \(codes)\n"
    }
    if !route.subprotocols.isEmpty { text += "protocols  \(route.subprotocols.joined(separator: ", "))\n" }
    let ping = route.limits.ping.map { "\($0.interval.written) + \($0.timeout.written)" } ?? "none"
    text +=
      "limits     message \(route.limits.message), send_queue \(route.limits.sendQueue), ping \(ping)\n"
    text += rate(route)
    if let compression = route.compression { text += "compressed \(explain(compression))\n" }
    return text
  }

  private func rate(_ route: WebSocketRoute) -> String {
    let limits = route.limits
    let own = limits.rate.messages.map { "\($0.text) messages of a session" }
    let shared = limits.userMessages.flatMap { route.auth == nil ? nil : "\($0.text) of a user" }
    let all = [own, shared].compactMap(\.self)
    guard !all.isEmpty else { return "" }
    return "rate       \(all.joined(separator: ", ")); over it: \(limits.rate.excess.rawValue)\n"
  }

  private func explain(_ groups: GroupConfiguration, _ captures: Captures) -> String {
    var text = ""
    if groups.templates.isEmpty { text += "group      none\n" }
    for template in groups.templates {
      text += "group      \((template.name(for: captures) ?? missing(template, captures)).printable)\n"
    }
    if !groups.subscribe.isEmpty {
      text += "subscribe  \(groups.subscribe.map(\.text).joined(separator: ", "))\n"
    }
    if let fromView = groups.fromView { text += "from view  \(fromView.text)\n" }
    if let history = groups.history {
      let first = groups.templates.count > 1 ? " of the first group" : ""
      text += "history    the last \(history.messages) events\(first), for at most \(history.age.written)\n"
    }
    return text + ExplainedRules(groups: groups).text
  }

  /// The text instead of a group's name if the name depends on the client's identity, or is not valid.
  private func missing(_ template: GroupPattern, _ captures: Captures) -> String {
    template.name(for: captures) { _ in "x" } == nil
      ? "none: \(template.text) is not a valid group name for this path; Sluice would answer 404"
      : template.text
  }

  private func explain(_ compression: CompressionConfiguration) -> String {
    "level \(compression.level), threshold \(compression.threshold), window \(compression.windowBits), context_takeover \(compression.keepsContext)"
      + (compression.keepsClientContext ? ", client_context_takeover true" : "")
  }

  private func explain(
    _ match: RouteMatch, _ refusal: String?, http application: ApplicationConfiguration
  ) -> String {
    let route = application.httpRoutes[match.route]
    var text = "\(route.name.isEmpty ? "\"\"" : route.name.printable)  (\(route.range.place))\n"
    if let refusal { return text + "answers    400: \(refusal)\n" }
    text += "answers    \(route.action.summary.printable)\n"
    if case .staticFiles = route.action, let remainder = match.remainder {
      text += "file       \(remainder.isEmpty ? "index.html" : remainder.printable), if it exists\n"
    }
    if let auth = route.auth { text += "auth       \(auth)\n" }
    text += captures(match)
    guard let events = route.events else { return text }
    text += explain(events.group, match.captures)
    text += "origin     \(origin(events.origins, ofStream: true))\n"
    text +=
      "limits     send_queue \(events.sendQueue), heartbeat \(events.heartbeat.written), retry \(events.retry.written)\n"
    return text
  }

  private func tls(_ server: ServerConfiguration) -> String {
    guard let tls = server.tls else { return "no: ws:// and http://" }
    return tls.bind == nil
      ? "yes: wss:// and https://" : "on the addresses of tls.bind: wss:// and https://; not on the others"
  }

  private func captures(_ match: RouteMatch) -> String {
    match.captures.all.map { "captures   \($0.name) = \"\($0.value.printable)\"\n" }.joined()
  }

  private func origin(_ policy: OriginPolicy, ofStream isStream: Bool = false) -> String {
    switch policy {
    case .sameHost: "the page must come from this host; clients without Origin pass"
    case .patterns(["*"]): "any origin\(isStream ? ", without cookies" : ""); clients without Origin pass"
    case .patterns(let patterns):
      "one of \(patterns.joined(separator: ", "))\(isStream ? "; clients without Origin pass" : "")"
    }
  }
}
