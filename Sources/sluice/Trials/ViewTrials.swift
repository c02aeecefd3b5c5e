import Gateway
import GatewayConfig
import NIOPosix
import Routing
import Sessions

/// Asks the views of a configuration, each for an example of its route's paths.
///
/// A problem is a finding at the route's place in the file, like any other mistake.
enum ViewTrials {
  /// So many are asked at a time, so that a server with few workers answers before its time is over.
  private static let together = 4

  /// - Returns: empty if each view has answered.
  static func run(_ configuration: Configuration) async -> [Finding] {
    let application = configuration.served
    var trials: [(route: WebSocketRoute, trial: ViewTrial)] = []
    let budget = WorkBudget.forAnalyses(of: application.webSocketRoutes.count)
    for (number, route) in application.webSocketRoutes.enumerated() {
      guard let view = route.consumer.view,
        let path = application.webSocketRouter.example(ofRoute: number, budget: budget),
        let match = application.webSocketRouter.match(path),
        let trial = ViewTrial(
          view, route: route.name, captures: match.captures, host: route.origins.exampleHost)
      else { continue }
      trials.append((route, trial))
    }
    return await findings(of: trials)
  }

  private static func findings(of trials: [(route: WebSocketRoute, trial: ViewTrial)]) async -> [Finding] {
    await withTaskGroup(of: (Int, ViewTrial.Fault?).self) { group in
      var next = 0
      var found: [Int: ViewTrial.Fault] = [:]
      func start() {
        guard next < trials.count else { return }
        let (number, trial) = (next, trials[next].trial)
        next += 1
        // The loops are never shut down: a name that is still being resolved may be so after the trial.
        group.addTask { (number, await trial.run(on: MultiThreadedEventLoopGroup.singleton)) }
      }
      for _ in 0..<together { start() }
      for await (number, fault) in group {
        found[number] = fault
        start()
      }
      return found.sorted { $0.key < $1.key }.map { finding($1, trials[$0].route) }
    }
  }

  /// What was asked: `asked 2 views; 1 view of websocket-over-http was not asked`; nil if there are no views.
  static func tried(_ configuration: Configuration) -> String? {
    let views = configuration.served.webSocketRoutes.compactMap(\.consumer.view)
    let asked = views.count(where: ViewTrial.asks)
    let others = views.count - asked
    let parts = [
      asked == 0 ? nil : "asked \(asked) \(asked == 1 ? "view" : "views")",
      others == 0
        ? nil
        : "\(others) \(others == 1 ? "view of websocket-over-http was" : "views of websocket-over-http were") not asked",
    ].compactMap(\.self)
    return parts.isEmpty ? nil : parts.joined(separator: "; ")
  }

  private static func finding(_ fault: ViewTrial.Fault, _ route: WebSocketRoute) -> Finding {
    let url = route.consumer.view?.question.shownURL ?? ""
    return Finding(
      fault.isWarning ? .warning : .error, .viewDisagrees, "the view \(url): \(fault.text)", at: route.range,
      hint: fault.hint)
  }
}

extension OriginPolicy {
  /// A host that clients ask for; nil if the file names none.
  fileprivate var exampleHost: String? {
    guard case .patterns(let patterns) = self else { return nil }
    return patterns.lazy.compactMap { pattern in
      let host = pattern.split(separator: "://", maxSplits: 1).last.map(String.init) ?? pattern
      return host.contains("*") ? nil : host.hasPrefix(".") ? String(host.dropFirst()) : host
    }.first
  }
}
