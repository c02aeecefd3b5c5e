import Bytes
package import ChannelLayers
import Consumers
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
  fileprivate var isMute: Bool {
    switch self {
    case .mute, .judgeMutes: true
    case .disconnect, .join, .leave: false
    }
  }

  /// Those to join or to leave.
  fileprivate var groups: [String] {
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

  package init(sessions: Int = 0, refused: Int = 0, isBusy: Bool = false) {
    self.sessions = sessions
    self.refused = refused
    self.isBusy = isBusy
  }

  package static func + (one: SessionsTold, other: SessionsTold) -> SessionsTold {
    SessionsTold(
      sessions: one.sessions + other.sessions, refused: one.refused + other.refused,
      isBusy: one.isBusy || other.isBusy)
  }
}

extension WorkerSessions {
  /// Carries out an order on the sessions of this worker, including those that are opening.
  ///
  /// - Parameter layer: the channel layer of the groups.
  @discardableResult
  package func carryOut(
    _ action: SessionAction, on target: SessionTarget, of layer: any LayerBackend
  ) -> SessionsTold {
    let end = layers[layer].layer
    var told = SessionsTold()
    var members: [any GroupMember] = []
    if target.user != nil || target.address != nil || action.isMute {
      let found = sessions(of: target, in: end.groups)
      let fitting = found.filter { $0.allows(action, in: end.groups) }
      told.refused = found.count - fitting.count
      if fitting.isEmpty { tellRefused(found, action) }
      members = fitting
    } else if let group = target.group {
      members = end.groups.members(of: group)
    }
    told.sessions = members.count
    // A session may have changed its groups, or its route, until it has its turn.
    let isTaken = sweep.run(members) { if $0.allows(action, in: end.groups) { $0.carryOut(action, of: end) } }
    if !isTaken {
      process.log.error(
        "an order was not carried out: too many orders wait", metadata: ["sessions": "\(members.count)"])
      told.sessions = 0
      told.isBusy = true
    }
    if case .disconnect = action {
      told.sessions += Array(pending.values).count { $0.disconnect(target) }
    }
    return told
  }

  /// Tells of groups that no session may be given: an order that came by a channel layer has no answer that says so.
  private func tellRefused(_ sessions: [any OrderedSession], _ action: SessionAction) {
    guard let first = action.groups.first else { return }
    for route in Set(sessions.map(\.routeName)) where process.refusedOrders.isFirst(of: route) {
      process.log.info(
        "sessions were not moved: their routes let nobody else give them the group",
        metadata: [
          "route": "\(route)", "group": "\(first)",
          "hint": "the route's \"groups_from_view\" has to name the group, such as [\"\(first)\"]",
        ])
    }
  }

  /// The sessions of a user, at an address, or in a group. A user has few; a group may have all of a reactor's, and is only looked through
  /// for orders that are not for all of them.
  private func sessions(of target: SessionTarget, in groups: LocalGroups) -> [any OrderedSession] {
    let found =
      if let address = target.address {
        (groups.member(at: address) as? any OrderedSession).map { [$0] } ?? []
      } else if let user = target.user {
        identities.sessions(of: user.text).compactMap { $0 as? any OrderedSession }
      } else {
        (target.group.map { groups.members(of: $0) } ?? []).compactMap { $0 as? any OrderedSession }
      }
    return found.filter { session in
      (target.user.map { $0 == session.identity.map { ExactText(text: $0.user) } } ?? true)
        && (target.group.map { session.isMember(of: $0, in: groups) } ?? true)
    }
  }
}
