package import Transport

/// Where the replay of a group's history begins for a member that joins.
package enum ReplayStart: Sendable, Hashable {
  /// With the first kept event.
  case beginning
  /// After a position that the member knows.
  case behind(EventPosition)
}

/// Sends the kept events of a group to a member that joins, part by part, before the member gets new events with the others.
///
/// Meanwhile the member is in the group, and the replay is the renderer of its audience. It can publish and be closed, and gets
/// events that are not recorded at once. It reads recorded events itself, so new ones need not be queued for a slow member, and none
/// is missing between the replay and the events after it.
package final class Replay: EventRenderer {
  package enum Progress: Sendable, Equatable {
    case more
    /// The member's position is ahead of this process's copy of the history. Call again after this time.
    case wait(Duration)
    /// The member has got all events that this reactor has delivered to the group. It has to be moved to the common audience.
    case caughtUp
  }

  private let layer: any ChannelLayer
  /// Of the audience to which the member is moved in the end.
  package var renderer: any EventRenderer
  package let isNumbered: Bool
  private var position: EventPosition?
  private var hasBegun = false
  private var copy: LaggingCopy
  /// Calls for the next part after a wait. It ends with the replay.
  package var timer: Timer?

  /// - Parameters:
  ///   - layer: is subscribed to the group as long as the replay exists.
  ///   - isNumbered: whether the member gets positions and gaps.
  ///   - renderer: renders events for the audience to which the member is moved in the end.
  ///   - copy: waits for a copy of the history that lags behind the member's position.
  package init(
    from start: ReplayStart, isNumbered: Bool, in layer: any ChannelLayer, renderer: any EventRenderer,
    waitingFor copy: LaggingCopy = LaggingCopy()
  ) {
    self.copy = copy
    self.layer = layer
    self.isNumbered = isNumbered
    self.renderer = renderer
    if case .behind(let position) = start { self.position = position }
  }

  /// Where the next part begins: nil for the first kept event; and whether a part was sent.
  package var progress: (position: EventPosition?, hasBegun: Bool) {
    get { (position, hasBegun) }
    set { (position, hasBegun) = newValue }
  }

  package func render(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes) -> Rendering {
    event.position == nil ? renderer.render(event, for: receiver, into: frames) : .ignored
  }

  package var namesGroup: Bool { renderer.namesGroup }
  /// The renderer behind it may be exchanged for one that does.
  package var selects: Bool { true }
  package func recipients(of event: Event, own: EventRecipients) -> EventRecipients? {
    renderer.recipients(of: event, own: own)
  }

  deinit {
    timer?.cancel()
  }

  /// Appends the next events to `frames`, about as many as `bytes`.
  package func next(for membership: Membership, bytes: Int, into frames: SharedBytes) -> Progress {
    var found = layer.history(of: membership.group, behind: position, bytes: bytes, isContinued: hasBegun)
    if let slice = found, slice.isAhead {
      if let pause = copy.pause(before: slice) { return .wait(pause) }
      found = layer.historyBehindGap(of: membership.group, bytes: bytes)
    }
    guard let slice = found else { return .caughtUp }
    if isNumbered, !hasBegun || slice.isGap {
      render(.history(behind: slice.start, isGap: slice.isGap), for: membership, into: frames)
    }
    hasBegun = true
    for event in slice.events { render(event, for: membership, into: frames) }
    position = slice.end
    return slice.isLast ? .caughtUp : .more
  }

  /// What would close a session closes none that comes later.
  private func render(_ event: Event, for membership: Membership, into frames: SharedBytes) {
    guard layer.groups.isMeant(event, for: membership, by: renderer) else { return }
    let event = event.named(membership.group, for: renderer)
    guard renderer.render(event, for: nil, into: frames) == .personal else { return }
    _ = renderer.render(event, for: layer.groups.receiver(membership), into: frames)
  }
}
