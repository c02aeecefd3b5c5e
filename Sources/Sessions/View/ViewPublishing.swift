import ChannelLayers
import GatewayConfig
import Logging
import Routing

/// Carries out what the view of a route publishes, while a session is there and after its end.
struct ViewPublishing {
  // The worker lives while its reactor runs.
  private unowned let worker: WorkerSessions
  private let route: SessionRoute

  init(_ worker: WorkerSessions, _ route: SessionRoute) {
    self.worker = worker
    self.route = route
  }

  /// - Parameter isKeptBack: whether the session must not get the event itself.
  /// - Returns: whether it is on its way.
  @discardableResult
  func publish(
    _ publication: ViewAnswer.Publication, of record: ViewRecord, isKeptBack: Bool = false
  ) -> Bool {
    guard route.admits(publication.group, of: record) else {
      tellNotAdmitted("publish", publication.group)
      return false
    }
    guard let layer = worker.end(of: route.layer) else { return false }
    let event = publication.addressed(from: record.address, isKeptBack: isKeptBack)
    layer.publish(event, to: publication.group) { [worker, route] outcome in
      guard let reason = outcome.undelivered else { return }
      worker.process.log.log(
        "an event of a view was not published", at: .warning, paced: worker.process.viewPace,
        ["route": "\(route.name)", "group": "\(publication.group)", "reason": "\(reason.rawValue)"])
    }
    return true
  }

  func tellNotAdmitted(_ action: String, _ group: String) {
    let names = route.groups?.fromView?.text ?? "none"
    tellNotCarriedOut(
      action, ["group": "\(group)"],
      "the group is neither one of the route's own nor among those of \"groups_from_view\": \(names)")
  }

  func tellNotCarriedOut(_ action: String, _ facts: Logger.Metadata, _ reason: String) {
    worker.process.log.log(
      "an action of a view's answer was not carried out", at: .warning, paced: worker.process.viewPace,
      facts.merging(["route": "\(route.name)", "action": "\(action)", "reason": "\(reason)"]) { $1 })
  }
}

extension SessionRoute {
  /// Whether the view may have a session join a group, and publish to it: it is one that the route names for the session, whether or not
  /// the session is in it now, or one of `groups_from_view`.
  func admits(_ group: String, of record: ViewRecord) -> Bool {
    record.named.contains(group) || groups?.fromView?.admits(group) == true
  }
}

extension ViewAnswer.Action {
  /// As answers have it.
  var name: String {
    switch self {
    case .join: "join"
    case .leave: "leave"
    case .send: "send"
    case .publish: "publish"
    case .close: "close"
    }
  }
}
