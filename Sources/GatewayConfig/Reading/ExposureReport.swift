import Bytes
import Routing

/// Reports views without a signature that clients can ask themselves, through a proxy of the same application.
///
/// Whoever reaches such a view can say of himself that he is any user, so Sluice has to be the only one who does.
struct ExposureReport {
  let reading: Reading
  let webSocket: RouteTable
  let http: RouteTable

  func report() {
    let budget = WorkBudget.forAnalyses(of: webSocket.routes.count + http.routes.count)
    for route in webSocket.routes {
      guard let view = route.webSocket?.consumer.view, view.isUnsigned,
        let paths = TargetPaths(view.question.url.parts, of: route.path)
      else { continue }
      for (table, kind) in [(http, RouteKind.http), (webSocket, .webSocket)] {
        report(view, of: route, paths, in: table, kind, budget)
      }
    }
  }

  /// Reports the first proxy that leads to the view, or may.
  private func report(
    _ view: ViewConfiguration, of route: ReadRoute, _ paths: TargetPaths, in table: RouteTable,
    _ kind: RouteKind, _ budget: WorkBudget
  ) {
    var open: ReadRoute?
    for (number, other) in table.routes.enumerated() {
      guard let proxy = other.proxied, proxy.reachesServer(of: view.question.url) else { continue }
      let rest: [TargetPaths.Part] = kind == .http ? [.remainder] : []
      let target = proxy.path.map { _ in TargetPaths(proxy.parts + rest, of: other.path) }
      // A place without a capture has been reported.
      if case .some(.none) = target { continue }
      switch table.router.reach(of: paths, through: number, to: target ?? nil, budget: budget) {
      case .never: break
      case .shown(let path): return tell(route, other, "\"/\(path)\"")
      case .open: open = open ?? other
      }
    }
    guard let open else { return }
    reading.findings.warning(
      .notProved, "Sluice could not decide whether clients reach the view of this route through a proxy",
      at: route.unsigned ?? route.range, hint: Self.hint, related: [.init("the proxy", at: open.range)])
  }

  private static let hint = "write secret: {env: SLUICE_SECRET} instead of \"unsigned\""

  private func tell(_ route: ReadRoute, _ proxy: ReadRoute, _ path: String) {
    reading.findings.error(
      .viewExposed,
      "every client can ask the view of this route what only Sluice may ask: \(path) leads there, and questions have no signature",
      at: route.unsigned ?? route.range, hint: Self.hint,
      related: [.init("the proxy that passes it on", at: proxy.range)])
  }
}

extension ReadRoute {
  /// The server that answers instead of Sluice; nil if none does.
  fileprivate var proxied: UpstreamConfiguration? {
    if case .proxy(let upstream)? = http?.action { upstream } else { webSocket?.consumer.upstream }
  }
}

extension UpstreamConfiguration {
  /// Whether both are one server, as far as their names say.
  fileprivate func reachesServer(of other: UpstreamConfiguration) -> Bool {
    guard socket == nil, other.socket == nil else { return socket == other.socket }
    return port == other.port && hostName == other.hostName
  }

  /// One name for this machine.
  private var hostName: String {
    let name = host.lowercased()
    return ["127.0.0.1", "::1", "0.0.0.0", "::"].contains(name) ? "localhost" : name
  }

  /// Its path, as the server reads it.
  fileprivate var parts: [TargetPaths.Part] {
    (path?.parts ?? []).map { part in
      switch part {
      case .place(let name): .place(name)
      case .literal(let text):
        .literal(String(decoding: PercentEncoding.decodeLeniently(text.utf8), as: UTF8.self))
      }
    }
  }
}
