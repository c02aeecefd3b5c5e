package import GatewayConfig
import Logging
import Synchronization
package import Transport

/// The part of the configuration that makes requests to an upstream. A line in the log names it, because several may have the same
/// host.
package enum UpstreamUser: Sendable, Hashable {
  /// The name of a `proxy` route.
  case route(String)
  /// The name of an entry of `auth`, and the URL that it asks.
  case authenticator(String, url: String)
  /// The URL of a `permission`.
  case permission(url: String)
  /// The name of a route with `consumer: view`, and the URL of the view.
  case view(route: String, url: String)

  /// The fields that name it, without the URL of an authenticator.
  package var names: [String: String] {
    switch self {
    case .route(let name): ["route": name]
    case .authenticator(let name, _): ["auth": name]
    case .permission(let url): ["permission": url]
    case .view(let route, let url): ["route": route, "view": url]
    }
  }

  /// The fields that name it, besides others.
  fileprivate func facts(with others: [String: Logger.MetadataValue?]) -> [String: Logger.MetadataValue?] {
    let names: [String: Logger.MetadataValue?] =
      switch self {
      case .route(let name): ["route": "\(name)"]
      case .authenticator(let name, let url): ["auth": "\(name)", "url": "\(url)"]
      case .permission(let url): ["permission": "\(url)"]
      case .view(let route, let url): ["route": "\(route)", "url": "\(url)"]
      }
    return names.merging(others) { $1 }
  }
}

/// Counts requests that upstreams did not answer as expected, and writes a line for each, but at most a bounded number per
/// second.
package final class UpstreamFailures: Sendable {
  let count = Atomic<Int>(0)
  private let log: Logger
  private let pace = SharedLogPace()
  private let shortagePace = SharedLogPace(most: 1)
  private let repeatPace = SharedLogPace(most: 1)
  private let recheckPace = SharedLogPace(most: 1)

  init(log: Logger) {
    self.log = log
  }

  /// All connections to an upstream were in use, so that clients were refused or disconnected.
  ///
  /// - Parameter counts: fields of the line.
  package func recordShortage(
    _ upstream: UpstreamConfiguration, of user: UpstreamUser, _ counts: [String: Int]
  ) {
    log.log(
      "all connections to an upstream were in use", at: .warning, paced: shortagePace,
      user.facts(with: ["upstream": "\(upstream.authority)"]).merging(counts.mapValues { .number($0) }) { $1 }
    )
  }

  /// A request was sent a second time. Its client does not notice.
  func recordRepeat(_ upstream: UpstreamConfiguration, of user: UpstreamUser) {
    log.log(
      "an upstream closed an idle connection; the request was sent again on a new one", at: .info,
      paced: repeatPace,
      user.facts(with: [
        "upstream": "\(upstream.authority)",
        "idle_timeout": "\(upstream.idleTimeout / .milliseconds(1))ms",
      ]))
  }

  /// A view has answered groups about a client of a route that takes none from it. Told once for each view: many answer the groups
  /// of Django's own there.
  func recordGroupsPassedOver(_ upstream: UpstreamConfiguration, of user: UpstreamUser) {
    log.log(
      "a view named groups that a route passes over", at: .info, paced: repeatPace,
      user.facts(with: [
        "upstream": "\(upstream.place)",
        "hint": "if clients are to be in them, list them in the route's \"groups_from_view\"",
      ]))
  }

  /// A view is not asked again about an open session, because it has not answered so many questions of that kind yet.
  func recordSlowRecheck(_ upstream: UpstreamConfiguration, of user: UpstreamUser, waiting: Int) {
    log.log(
      "a view answers more slowly than its \"recheck\" asks", at: .warning, paced: recheckPace,
      user.facts(with: [
        "upstream": "\(upstream.place)", "waiting": .number(waiting),
        "hint":
          "write a longer recheck, or make the view faster: the sessions stay, and are asked about later",
      ]))
  }

  /// - Parameters:
  ///   - target: the target of the client's request, if there is one; its query is left out.
  ///   - peer: who has sent that request.
  ///   - status: the HTTP status or close code that the client gets; nil where that depends on more.
  ///   - question: what a view was asked about, and the id of the question.
  ///   - reason: for the operator only.
  ///   - hint: the change of the configuration that helps.
  ///   - pace: nil for that of all upstreams.
  package func record(
    _ upstream: UpstreamConfiguration, of user: UpstreamUser, target: [UInt8]? = nil,
    peer: PeerAddress? = nil, status: Int? = nil, question: (event: String, id: String)? = nil,
    _ reason: String,
    hint: String? = nil, paced pace: SharedLogPace? = nil
  ) {
    count.up()
    log.log(
      "an upstream did not answer as expected", at: .warning, paced: pace ?? self.pace,
      user.facts(with: [
        "upstream": "\(upstream.place)", "status": status.map { .number($0) },
        "event": question.map { "\($0.event)" }, "id": question.map { "\($0.id)" }, "reason": "\(reason)",
        "path": target.map { "\(RefusalLog.printable($0))" }, "peer": peer.map { "\($0)" },
        "hint": hint.map { "\($0)" },
      ]))
  }
}
