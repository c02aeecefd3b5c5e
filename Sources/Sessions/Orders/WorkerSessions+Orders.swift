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
  case mute(until: MonotonicTime)
  case unmute
  /// Groups of the channel layer, which the route of the session must allow.
  case join([String])
  case leave([String])
}

/// On how many sessions an order was carried out.
package struct SessionsTold: Sendable, Equatable {
  package var sessions = 0
  /// Those whose routes do not allow it.
  package var refused = 0

  package init(sessions: Int = 0, refused: Int = 0) {
    self.sessions = sessions
    self.refused = refused
  }

  package static func + (one: SessionsTold, other: SessionsTold) -> SessionsTold {
    SessionsTold(sessions: one.sessions + other.sessions, refused: one.refused + other.refused)
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
    let members: [any GroupMember]
    if target.user == nil, target.address == nil {
      members = target.group.map { end.groups.members(of: $0) } ?? []
    } else {
      let found = sessions(of: target, in: end.groups)
      let fitting = found.filter { $0.allows(action, in: end.groups) }
      told.refused = found.count - fitting.count
      members = fitting
    }
    told.sessions = members.count
    // A session may have changed its groups, or its route, until it has its turn.
    let isTaken = sweep.run(members) { if $0.allows(action, in: end.groups) { $0.carryOut(action, of: end) } }
    if !isTaken {
      process.log.error(
        "an order was not carried out: too many orders wait", metadata: ["sessions": "\(members.count)"])
      told.sessions = 0
    }
    if case .disconnect = action {
      told.sessions += Array(pending.values).count { $0.disconnect(target) }
    }
    return told
  }

  /// The sessions of a user, or at an address. A user has few; a group may have all of a reactor's, and is not looked through here.
  private func sessions(of target: SessionTarget, in groups: LocalGroups) -> [any OrderedSession] {
    let found =
      if let address = target.address {
        (groups.member(at: address) as? any OrderedSession).map { [$0] } ?? []
      } else {
        (target.user.map { identities.sessions(of: $0.text) } ?? []).compactMap { $0 as? any OrderedSession }
      }
    return found.filter { session in
      (target.user.map { $0 == session.identity.map { ExactText(text: $0.user) } } ?? true)
        && (target.group.map { session.isMember(of: $0, in: groups) } ?? true)
    }
  }
}
