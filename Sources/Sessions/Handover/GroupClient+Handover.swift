import ChannelLayers
import Consumers
import Routing
import Transport

/// Taking a client's groups to another process, and going on with them there.
extension GroupClient {
  /// - Returns: nil while something is asked whose answer would be lost.
  func handedFeed() -> FeedState? {
    var state = FeedState()
    state.groups = feed.memberships.map(FeedState.Place.init)
    state.isNumbered = feed.membership?.route == audience(isFirst: true, isNumbered: true).key
    state.replay = feed.replay.map(FeedState.ReplayState.init)
    guard let extras = feed.extras else { return state }
    // A question to a view that is asked again anyway is asked again.
    if let token = extras.token {
      guard token.awaited == nil, token.ticket == nil, token.groups == nil else { return nil }
      state.token = FeedState.Token(token)
    }
    state.ofRoute = extras.ofRoute
    state.identity = extras.identity
    state.captures = extras.captures.all
    state.mutedAlone = extras.mutedAlone?.nanoseconds
    state.meter = extras.meter.map(FeedState.Meter.init)
    state.standing = extras.standing.map(StandingState.init)
    state.awaited = extras.awaited.wishes.map { ($0.key, $0.value) }
    if let presence = extras.presence {
      state.presence = FeedState.Place(group: "", presence.handed.number)
      state.waitsForPresence = presence.handed.waits
    }
    return state
  }

  /// Goes on in the groups that another process had the client in.
  func resume(_ state: FeedState) {
    resumeExtras(state)
    guard let layer else { return }
    for (index, place) in state.groups.enumerated() {
      // It has the place in any case: the events come once the layer is there.
      layer.resubscribe(to: place.group)
      if index == 0, let replay = state.replay {
        resumeReplay(replay, place, in: layer)
      } else {
        let (key, renderer) = audience(isFirst: index == 0, isNumbered: index == 0 && state.isNumbered)
        feed.add(
          layer.groups.join(self, group: place.group, route: key, renderer: renderer, number: place.number))
      }
    }
    for (group, wish) in state.awaited where !feed.isMember(of: group) {
      joinLater(group, for: wish, of: layer)
    }
  }

  private func resumeExtras(_ state: FeedState) {
    let isPlain =
      state.identity == nil && state.captures.isEmpty && state.groups.count < 2 && state.mutedAlone == nil
      && state.standing == nil
    guard !isPlain else { return }
    let extras = feed.makeExtras()
    extras.identity = state.identity
    extras.captures = Captures(state.captures)
    extras.ofRoute = state.ofRoute
    extras.mutedAlone = state.mutedAlone.map(MonotonicTime.init(nanoseconds:))
    extras.standing = state.standing?.question
  }

  private func resumeReplay(
    _ state: FeedState.ReplayState, _ place: FeedState.Place, in layer: any ChannelLayer
  ) {
    let renderer = audience(isFirst: true, isNumbered: state.isNumbered).renderer
    let replay = Replay(from: .beginning, isNumbered: state.isNumbered, in: layer, renderer: renderer)
    replay.progress = (state.position, state.hasBegun)
    feed.replay = replay
    feed.add(
      layer.groups.join(
        self, group: place.group, route: ObjectIdentifier(replay), renderer: replay, number: place.number))
  }

  /// Goes on with the time of its token, and with what views are asked again.
  func resumeToken(_ state: FeedState) {
    guard let token = state.token else { return beginRechecks() }
    let known = GroupFeed.TokenState()
    (known.renewalsPaidAt, known.isExpiring) = (token.renewalsPaidAt, token.isExpiring)
    feed.makeExtras().token = known
    beginToken()
  }
}
