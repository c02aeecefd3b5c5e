import ChannelLayers
import Consumers

extension Session {
  /// Lets the others of the group that the client's messages go to know that it is there, where the route tells that.
  func joinPresence() {
    guard let membership, let presence = presenceOfWorker else { return }
    let audience = audience
    makeStanding().presence = presence.join(
      self, group: membership.group, route: audience.route, renderer: audience.renderer, user: identity?.user)
  }

  func askForPresence(_ wish: String) {
    guard wish == "list" else { return tell("error", #"of presence you can ask for the "list""#) }
    standing?.presence?.askForList()
  }
}

extension SessionRoute {
  /// Whether the message is for the gateway here; otherwise it is one like any other.
  func takes(_ message: ControlMessage) -> Bool {
    switch message {
    case .subscribe, .unsubscribe: true
    case .presence: hasPresence
    }
  }
}
