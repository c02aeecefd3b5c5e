import Gateway
import GatewayConfig
import NIOPosix
import Routing
import Sessions

/// Asks the servers that the routes of a configuration ask over HTTP, each for an example of its route's paths: the views of `consumer: view`,
/// and what authentication asks.
///
/// A problem is a finding at the place in the file, like any other mistake.
struct ServerTrials {
  /// So many are asked at a time, so that a server with few workers answers before its time is over.
  private static let together = 4

  fileprivate struct Trial: Sendable {
    /// What is asked, for the operator.
    var subject: String
    var range: SourceRange
    var code: FindingCode
    var run: @Sendable () async -> TrialFault?
  }

  private var trials: [Trial] = []
  private var views = 0
  private var callbacks: Set<String> = []
  private var permissions: Set<String> = []
  private var keySets: Set<String> = []
  /// Views that cannot be asked without a session.
  private var unasked = 0

  init(_ configuration: Configuration) {
    let application = configuration.served
    let budget = WorkBudget.forAnalyses(
      of: application.webSocketRoutes.count + application.httpRoutes.count)
    for (number, route) in application.webSocketRoutes.enumerated() {
      if let view = route.consumer.view, !ViewTrial.asks(view) { unasked += 1 }
      guard let (path, captures) = application.webSocketRouter.sample(ofRoute: number, budget) else {
        continue
      }
      let host = route.origins.exampleHost
      add(route, captures, host)
      add(route.auth, configuration, path, captures, host, at: route.range)
    }
    for (number, route) in application.httpRoutes.enumerated() {
      guard let (path, captures) = application.httpRouter.sample(ofRoute: number, budget) else { continue }
      add(route.auth, configuration, path, captures, route.events?.origins.exampleHost, at: route.range)
    }
  }

  private mutating func add(_ route: WebSocketRoute, _ captures: Captures, _ host: String?) {
    guard let view = route.consumer.view,
      let trial = ViewTrial(view, route: route.name, captures: captures, host: host)
    else { return }
    views += 1
    // The loops are never shut down: a name that is still being resolved may be so after the trial.
    trials.append(
      Trial(subject: "the view \(view.question.shownURL)", range: route.range, code: .viewDisagrees) {
        await trial.run(on: MultiThreadedEventLoopGroup.singleton)
      })
  }

  private mutating func add(
    _ auth: RouteAuth?, _ configuration: Configuration, _ path: RequestPath, _ captures: Captures,
    _ host: String?, at range: SourceRange
  ) {
    guard let auth else { return }
    let entry = configuration.authenticators[auth.authenticator]
    for trial in AuthTrial.all(
      of: auth, configuration.authenticators, target: path, captures: captures, host: host)
    {
      guard keep(trial) else { continue }
      let range = trial.subjectKind == .permission ? range : entry.range
      trials.append(
        Trial(subject: trial.subject, range: range, code: .authDisagrees) {
          await trial.run(on: MultiThreadedEventLoopGroup.singleton)
        })
    }
  }

  /// - Returns: whether no other trial asks the same.
  private mutating func keep(_ trial: AuthTrial) -> Bool {
    switch trial.subjectKind {
    case .callback: callbacks.insert(trial.key).inserted
    case .permission: permissions.insert(trial.key).inserted
    case .keySet: keySets.insert(trial.key).inserted
    }
  }

  /// - Returns: empty if each server has answered as it has to; in the order of the file.
  func run() async -> [Finding] {
    await withTaskGroup(of: (Int, TrialFault?).self) { group in
      var next = 0
      var found: [Int: TrialFault] = [:]
      func start() {
        guard next < trials.count else { return }
        let (number, trial) = (next, trials[next])
        next += 1
        group.addTask { (number, await trial.run()) }
      }
      for _ in 0..<Self.together { start() }
      for await (number, fault) in group {
        found[number] = fault
        start()
      }
      return found.sorted { $0.key < $1.key }.map { trials[$0].finding($1) }
    }
  }

  /// What is asked: `asked 2 views and 1 callback; 1 view of websocket-over-http was not asked`; nil if there is nothing.
  var summary: String? {
    let asked = [
      Self.count(views, "view", "views"), Self.count(callbacks.count, "callback", "callbacks"),
      Self.count(permissions.count, "permission", "permissions"),
      Self.count(keySets.count, "key set", "key sets"),
    ].compactMap(\.self)
    let list =
      asked.count < 2
      ? asked.joined() : "\(asked.dropLast().joined(separator: ", ")) and \(asked[asked.count - 1])"
    let parts = [
      asked.isEmpty ? nil : "asked \(list)",
      Self.count(unasked, "view of websocket-over-http was", "views of websocket-over-http were").map {
        "\($0) not asked"
      },
    ].compactMap(\.self)
    return parts.isEmpty ? nil : parts.joined(separator: "; ")
  }

  private static func count(_ number: Int, _ one: String, _ several: String) -> String? {
    number == 0 ? nil : "\(number) \(number == 1 ? one : several)"
  }
}

extension ServerTrials.Trial {
  fileprivate func finding(_ fault: TrialFault) -> Finding {
    Finding(
      fault.isWarning ? .warning : .error, code, "\(subject): \(fault.text)", at: range, hint: fault.hint)
  }
}

extension Router {
  /// A path of the route, and what it captures; nil if there is none.
  fileprivate func sample(ofRoute number: Int, _ budget: WorkBudget) -> (RequestPath, Captures)? {
    guard let path = example(ofRoute: number, budget: budget), let match = match(path) else { return nil }
    return (path, match.captures)
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
