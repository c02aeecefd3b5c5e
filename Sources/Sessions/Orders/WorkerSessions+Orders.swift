package import ChannelLayers
import Logging
package import Transport

/// What an order does with a session.
package enum SessionAction: Sendable, Equatable {
  /// - Parameter reason: for the client; at most 123 bytes.
  case disconnect(reason: String)
  /// The client hears, and cannot send.
  ///
  /// - Parameter group: only where the client's messages go to it; nil for any.
  case mute(until: MonotonicTime, in: String?)
  /// An order that holds for a time has come or is lifted: the client is muted by those that hold for it now.
  case judgeMutes(in: String?)
  /// Groups of the channel layer, which the route of the session must allow.
  case join([String])
  case leave([String])
}

extension SessionAction {
  /// Those to join or to leave.
  var groups: [String] {
    switch self {
    case .join(let groups), .leave(let groups): groups
    case .disconnect, .mute, .judgeMutes: []
    }
  }
}

/// On how many sessions an order was carried out.
package struct SessionsTold: Sendable, Equatable {
  package var sessions = 0
  /// Those whose routes do not allow it.
  package var refused = 0
  /// Whether some were left out because too many orders wait.
  package var isBusy = false
  /// Whether some have not had their turn yet, and are not counted.
  package var isUnfinished = false

  package init(sessions: Int = 0, refused: Int = 0, isBusy: Bool = false, isUnfinished: Bool = false) {
    self.sessions = sessions
    self.refused = refused
    self.isBusy = isBusy
    self.isUnfinished = isUnfinished
  }

  package static func + (one: SessionsTold, other: SessionsTold) -> SessionsTold {
    SessionsTold(
      sessions: one.sessions + other.sessions, refused: one.refused + other.refused,
      isBusy: one.isBusy || other.isBusy, isUnfinished: one.isUnfinished || other.isUnfinished)
  }
}

extension WorkerSessions {
  /// Carries out an order on the sessions of this worker, including those that are opening. On many sessions that takes several turns.
  ///
  /// - Parameters:
  ///   - layer: the channel layer of the groups.
  ///   - completed: called once, on this reactor, at once or when all sessions have had their turn. Released without a call if the worker
  ///     ends before.
  package func carryOut(
    _ action: SessionAction, on target: SessionTarget, of layer: any LayerBackend,
    _ completed: @escaping (SessionsTold) -> Void
  ) {
    let order = OrderUnderWay(action, on: target, of: layers[layer].layer)
    let candidates = order.candidates(among: identities)
    // At once: they may become sessions before the others have had their turn.
    if case .disconnect = action {
      order.told.sessions += Array(pending.values).count { $0.disconnect(target) }
    }
    let isTaken = sweep.run(candidates) {
      order.carryOut(on: $0)
    } _: { [unowned self] in
      if order.told.sessions == 0 { tellRefused(action, by: order.refusing) }
      completed(order.told)
    }
    guard !isTaken else { return }
    process.log.error(
      "an order was not carried out: too many orders wait", metadata: ["sessions": "\(candidates.count)"])
    order.told.isBusy = true
    completed(order.told)
  }

  /// Tells of groups that no session may be given: an order that came by a channel layer has no answer that says so.
  private func tellRefused(_ action: SessionAction, by routes: Set<String>) {
    guard let first = action.groups.first else { return }
    for route in routes where process.refusedOrders.isFirst(of: route) {
      process.log.info(
        "sessions were not moved: their routes let nobody else give them the group",
        metadata: [
          "route": "\(route)", "group": "\(first)",
          "hint": "the route's \"groups_from_view\" has to name the group, such as [\"\(first)\"]",
        ])
    }
  }
}
