package import Transport

/// What a member wants of its group's history when it joins.
package enum ReplayStart: Sendable, Hashable {
  /// All that is kept.
  case beginning
  /// What is behind the position that it knows.
  case behind(EventPosition)
}

/// Brings a member that joins to where its group is: what is kept is sent to it alone, part by part, before it gets what others
/// get.
///
/// The member is in the group meanwhile, with the replay as the renderer of its audience: it can publish and be closed, and
/// events that have no place in the history reach it at once; those that have one it reads itself. So nothing has to be put
/// aside for it while it takes its time, and what it reads and what comes then follow each other without a hole.
package final class Replay: EventRenderer {
  package enum Progress: Sendable, Equatable {
    case more
    /// The member is ahead of this process's copy of the history: it is to be asked again after this time.
    case wait(Duration)
    /// The member is where its group is on this reactor: now it has to be moved to the others.
    case caughtUp
  }

  private let layer: any ChannelLayer
  private let renderer: any EventRenderer
  package let isNumbered: Bool
  private var position: EventPosition?
  private var hasBegun = false
  private var copy: LaggingCopy
  /// Calls for the next part after a wait; kept here as long as the replay.
  package var timer: Timer?

  /// - Parameters:
  ///   - layer: it has begun to bring the group's events, and stays for as long as this.
  ///   - isNumbered: whether the member is told where it is, and of gaps.
  ///   - renderer: that of the audience to which the member is moved in the end.
  ///   - copy: how long a copy of the history that is behind the member is waited for.
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

  package func render(_ event: Event, for address: String?, into frames: SharedBytes) -> Rendering {
    event.position == nil ? renderer.render(event, for: address, into: frames) : .ignored
  }

  deinit {
    timer?.cancel()
  }

  /// Appends the next part to `frames`: about so many bytes of events.
  package func next(for membership: Membership, bytes: Int, into frames: SharedBytes) -> Progress {
    var found = layer.history(
      of: membership.group, behind: position, bytes: bytes, isContinued: hasBegun)
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

  private func render(_ event: Event, for membership: Membership, into frames: SharedBytes) {
    guard renderer.render(event, for: nil, into: frames) == .personal else { return }
    _ = renderer.render(event, for: layer.groups.address(of: membership), into: frames)
  }
}
