import ChannelLayers
import Consumers
import GatewayConfig
import Routing
import Transport

/// A session that other processes and requests can give orders to.
protocol OrderedSession: GroupMember, UserSession {
  /// - Parameter groups: of the layer that the group is in.
  func isMember(of group: String, in groups: LocalGroups) -> Bool
  /// Whether its route lets the action be carried out on it.
  func allows(_ action: SessionAction, in groups: LocalGroups) -> Bool
  func carryOut(_ action: SessionAction, of layer: any ChannelLayer)

  var isOpen: Bool { get }
  var routeName: String { get }
  /// Whether the client can be kept from sending.
  var takesMute: Bool { get }
  /// Mutes this session, and no other of its user.
  func mute(until end: MonotonicTime)
  /// Looks again at the orders that hold for the client.
  func judgeMute()
}

extension OrderedSession where Self: GroupClient {
  func isMember(of group: String, in groups: LocalGroups) -> Bool {
    layer?.groups === groups && feed.isMember(of: group)
  }

  func allows(_ action: SessionAction, in groups: LocalGroups) -> Bool {
    switch action {
    case .disconnect: true
    // In other groups the client only listens.
    case .mute(_, let group), .judgeMutes(let group):
      takesMute && (group == nil || layer?.groups === groups && feed.membership?.group == group)
    case .join(let names), .leave(let names):
      isReachable && layer?.groups === groups && names.allSatisfy(route.admitsFromOutside)
    }
  }

  func carryOut(_ action: SessionAction, of layer: any ChannelLayer) {
    switch action {
    case .disconnect(let reason): close(.disconnected.saying(reason))
    case .mute(let end, _): mute(until: end)
    case .judgeMutes: judgeMute()
    case .join(let names): for name in names { joinFromOutside(name, of: layer) }
    case .leave(let names): for name in names { leaveFromOutside(name, of: layer) }
    }
  }

  /// Clients of event streams send nothing.
  var takesMute: Bool { false }
  func mute(until end: MonotonicTime) {}
  func judgeMute() {}
}

extension LiveRoute {
  /// Only groups that the route's `groups_from_view` names can be given from outside; without it, none.
  func admitsFromOutside(_ group: String) -> Bool { groups?.fromView?.admits(group) == true }
}
