import ChannelLayers
import Consumers
import GatewayConfig
import JSON
import Routing
import Transport
import WebSocketCore

// Sessions of `consumer: view`. The others never come here.

extension Session {
  var viewState: JSON? { view?.state }

  func ask(_ kind: MessageKind, _ payload: RawSpan) {
    view?.received(kind, payload)
  }

  /// The names of the groups that it is in, the first one first.
  var groupNames: [String] { feed.memberships.map(\.group) }

  /// Gives it an address and lets it come into its groups, before its view is asked whether it may. Nobody is told that it is there.
  ///
  /// - Parameters:
  ///   - opening: whose client is known.
  ///   - groups: nil without groups.
  ///   - completed: called once with the view's answer, or with the refusal; not after the session has ended. It returns whether the
  ///     client is accepted after all.
  func meetView(
    _ opening: Opening, in groups: GroupsOpening?, within patience: Duration,
    _ completed: @escaping (Result<ViewAnswer, HandshakeRefusal>) -> Bool
  ) {
    guard case .session(let session) = opening.kind, let request = session.view,
      let configuration = route.configuration.consumer.view
    else { return }
    let link = ViewLink(
      self, at: joinAlone(), configuration, request, by: worker.viewAsker(of: route), patience: patience,
      completed)
    link.named = opening.groups
    view = link
    judgeNotes()
    if let groups { joinGroups(groups, opening.history) }
    if identity != nil {
      let extras = feed.makeExtras()
      if extras.token == nil { extras.token = GroupFeed.TokenState() }
      identities.add(self)
    }
    judgeMute()
    link.begin()
  }

  /// By it the session is reached, whatever groups it is in.
  func joinAlone() -> Membership? {
    guard let layer else { return nil }
    let (key, renderer) = audience(isFirst: true, isNumbered: false)
    return layer.groups.joinAlone(self, route: key, renderer: renderer)
  }

  /// It has left its groups, and is reached no more.
  func leaveAlone() {
    guard let own = ownMembership else { return }
    view?.ownMembership = nil
    layer?.groups.leave(own)
  }

  /// The client was accepted: what the view has said of it holds from now on.
  func take(_ identity: Identity?) {
    guard identity !== self.identity else { return }
    let extras = feed.makeExtras()
    identities.remove(self)
    extras.identity = identity
    if extras.token == nil { extras.token = GroupFeed.TokenState() }
    identities.add(self)
  }

  /// Sends what has come since *connect* was asked.
  func release(_ held: HeldEvents) {
    judgeNotes()
    guard state == .open else { return }
    if let waiting = held.waiting {
      connection.write(waiting, from: 0)
      record?.sent(waiting, from: 0)
    }
    if let (code, reason) = held.closing { return close(code: code, reason: reason) }
    goOnReplaying()
  }
}

// MARK: - What its view answers

extension Session {
  func hasRoom(for group: String) -> Bool { feed.isMember(of: group) || feed.hasRoom(for: group) }

  /// Joins a group, which may take until its events come: `ViewLink.settled` is called then.
  ///
  /// - Returns: whether there is nothing to wait for.
  func joinForView(_ group: String) -> Bool {
    guard let layer, !feed.isMember(of: group) else { return true }
    joinLater(group, for: .answer, of: layer)
    return feed.extras?.awaited.has(group) != true
  }

  var namedForView: [String]? {
    get { view?.named }
    set { if let newValue { view?.named = newValue } }
  }

  func arrived(in group: String, as arrival: Arrival?) {
    guard let view else { return }
    returnToFirst(group)
    view.noteChange()
    view.settled(group, as: arrival)
  }

  func identityChanged() { view?.noteIdentity() }

  /// The same as JSON text.
  var viewStateText: [UInt8]? { view?.record.state }

  /// The first group of the route takes its place again, where it was left before.
  private func returnToFirst(_ group: String) {
    guard let view, view.named.first == group, feed.membership?.group != group, let layer,
      let extras = feed.extras, let index = extras.others.firstIndex(where: { $0.group == group })
    else {
      if view?.named.first == group, feed.membership?.group == group { beginPresence() }
      return
    }
    let membership = extras.others.remove(at: index)
    let (key, renderer) = audience(isFirst: true, isNumbered: false)
    layer.groups.move(membership, route: key, renderer: renderer)
    feed.addFirst(membership)
    beginPresence()
  }

  private func beginPresence() {
    if feed.extras?.presence == nil { joinPresence() }
    judgeMute()
  }

  /// Leaves a group, the first one too: the next one takes its place, and who hears of presence hears that the session has gone.
  ///
  /// - Returns: whether it was in the group.
  func leaveForView(_ group: String) -> Bool {
    guard let layer else { return false }
    feed.extras?.awaited.withdraw(.everybody, for: group)
    if feed.membership?.group == group {
      leaveFirst(of: layer)
      return true
    }
    guard let extras = feed.extras, let index = extras.others.firstIndex(where: { $0.group == group })
    else { return false }
    if index < extras.ofRoute { extras.ofRoute -= 1 }
    let membership = extras.others.remove(at: index)
    _ = layer.groups.catchUp(membership)
    leave(membership, of: layer)
    return true
  }

  private func leaveFirst(of layer: any ChannelLayer) {
    catchUp()
    let presence = feed.extras?.presence
    feed.extras?.presence = nil
    presence?.leave()
    feed.replay = nil
    guard let old = feed.removeFirst() else { return }
    leave(old, of: layer)
    if let new = feed.membership {
      let (key, renderer) = audience(isFirst: true, isNumbered: false)
      layer.groups.move(new, route: key, renderer: renderer)
    }
    judgeMute()
  }

  /// Gets an event of its own answer that the layer would perhaps bring too late.
  func take(_ publication: ViewAnswer.Publication) {
    switch publication.recipients {
    case .others: return
    case .user(let user) where identity?.user != user: return
    case .all, .user: break
    }
    guard let layer, let membership = feed.memberships.first(where: { $0.group == publication.group })
    else { return }
    layer.groups.deliver(publication.event, to: membership.number)
  }
}
