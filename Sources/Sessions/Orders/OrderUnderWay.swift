import Bytes
import ChannelLayers
import Consumers

/// An order while it is being carried out on one session after the other, which may take many turns. Confined to the reactor.
final class OrderUnderWay {
  private let action: SessionAction
  private let target: SessionTarget
  private let layer: any ChannelLayer
  /// On how many sessions it was carried out until now.
  var told = SessionsTold()
  /// The routes of the sessions that took no order to join or to leave.
  private(set) var refusing: Set<String> = []

  /// - Parameter layer: the channel layer of the groups.
  init(_ action: SessionAction, on target: SessionTarget, of layer: any ChannelLayer) {
    self.action = action
    self.target = target
    self.layer = layer
  }

  /// Those to look at: as few as the target allows. A user has fewer than a group.
  func candidates(among identities: WorkerIdentities) -> OrderCandidates {
    if let address = target.address { return OrderCandidates(single: layer.groups.member(at: address)) }
    if let user = target.user { return OrderCandidates(ofUser: identities.sessions(of: user.text)) }
    return OrderCandidates(members: target.group.map { layer.groups.memberships(of: $0) } ?? [])
  }

  /// It is a candidate's turn. Since the order came it may have ended, or changed its user, its groups or its route.
  func carryOut(on session: any OrderedSession) {
    guard session.isOpen, isAbout(session) else { return }
    guard session.allows(action, in: layer.groups) else {
      told.refused += 1
      if !action.groups.isEmpty { refusing.insert(session.routeName) }
      return
    }
    told.sessions += 1
    session.carryOut(action, of: layer)
  }

  private func isAbout(_ session: any OrderedSession) -> Bool {
    if let user = target.user, user != session.identity.map({ ExactText(text: $0.user) }) { return false }
    // Who was in the group when the order came does not get away by leaving it.
    guard let group = target.group, target.user != nil || target.address != nil else { return true }
    return session.isMember(of: group, in: layer.groups)
  }
}
