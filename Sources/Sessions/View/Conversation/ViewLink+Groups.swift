import ChannelLayers
import Logging

// What a view does with groups.

extension ViewLink {
  func join(_ group: String) {
    guard let session else { return handle(.joined) }
    guard route.admits(group, of: record) else {
      publishing.tellNotAdmitted("join", group)
      return handle(.joined)
    }
    guard session.hasRoom(for: group) else {
      publishing.tellNotCarriedOut("join", ["group": "\(group)"], "the session is in too many groups")
      return handle(.joined)
    }
    makeActivity().awaited = group
    if session.joinForView(group) { settled(group, as: .joined) }
  }

  /// A group that was waited for has come, or will not.
  ///
  /// - Parameter arrival: nil if it is not wanted any more.
  func settled(_ group: String, as arrival: Arrival?) {
    guard let activity, activity.awaited == group else { return }
    activity.awaited = nil
    switch arrival {
    case .joined, nil: break
    case .unavailable:
      publishing.tellNotCarriedOut("join", ["group": "\(group)"], "the channel layer is not available")
    case .keptOut(let order):
      publishing.tellNotCarriedOut(
        "join", ["group": "\(group)"], "an order keeps the client out of the group: \(order.reason)")
    }
    handle(.joined)
  }

  func leave(_ group: String) {
    if session?.leaveForView(group) == true { noteChange() }
  }

  func publish(_ publication: ViewAnswer.Publication, joinsLater: Bool, leavesLater: Bool) {
    let isMember = session?.feed.isMember(of: publication.group) == true
    // What comes back through the layer might do so only after the session has left: it gets such an event here, once.
    let isByHand = isMember && leavesLater
    let isKeptBack = isByHand || joinsLater && !isMember
    guard publishing.publish(publication, of: record, isKeptBack: isKeptBack) else { return }
    if isByHand { session?.take(publication) }
  }

  var publishing: ViewPublishing { ViewPublishing(worker, route) }
}
