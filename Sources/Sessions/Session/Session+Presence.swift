import ChannelLayers
import Consumers

extension Session {
  /// Lets the others of the group that the client's messages go to know that it is there, where the route tells that.
  func joinPresence() {
    guard let membership, let presence = presenceOfWorker else { return }
    let audience = audience(isNumbered: false)
    feed.makeExtras().presence = presence.join(
      self, group: membership.group, route: audience.key, renderer: audience.renderer, user: identity?.user)
  }

  func askForPresence(_ wish: String) {
    guard wish == "list" else { return tell("error", #"the value of "presence" must be "list""#) }
    feed.extras?.presence?.askForList()
  }
}
