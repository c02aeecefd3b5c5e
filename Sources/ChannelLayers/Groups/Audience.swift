import Transport

/// The members of one group that see its events in the same form: the sessions of one route on one reactor.
///
/// An event is rendered once into `frames`; at the end of the turn each member is sent, in one write, all that
/// was rendered since it last got something.
final class Audience {
  let group: String
  let key: ObjectIdentifier
  let renderer: any EventRenderer
  /// In the list of all.
  var place = 0
  private(set) var members: [Membership] = []
  /// What this turn's events became; nil while there is nothing to send.
  private(set) var frames: SharedBytes?
  private(set) var closing: Closing?

  struct Closing {
    var code: UInt16
    var reason: String
    /// Those who were there when the event came; who joins later in the turn stays.
    var members: [Membership]
    /// Whether somebody has joined later.
    var hasNewcomers = false
  }

  init(group: String, key: ObjectIdentifier, renderer: any EventRenderer) {
    self.group = group
    self.key = key
    self.renderer = renderer
  }

  var hasWork: Bool { frames != nil || closing != nil }

  func add(_ member: any GroupMember, number: MemberNumber) -> Membership {
    let membership = Membership(
      member: member, number: number, audience: self, index: members.count, cursor: frames?.count ?? 0)
    append(membership)
    return membership
  }

  /// Takes a member over from another audience of the group; what was rendered so far in this turn is not for it.
  func take(over membership: Membership) {
    membership.audience = self
    membership.index = members.count
    membership.cursor = frames?.count ?? 0
    append(membership)
  }

  private func append(_ membership: Membership) {
    members.append(membership)
    closing?.hasNewcomers = true
  }

  /// Removes in constant time: the last member takes the free place.
  func remove(_ membership: Membership) {
    let last = members.removeLast()
    guard last !== membership else { return }
    last.index = membership.index
    members[membership.index] = last
  }

  /// Renders the event behind what is already waiting.
  func take(_ event: Event, buffers: BufferReserve) -> Rendering {
    guard closing == nil else { return .ignored }
    let buffer = frames ?? buffers.take()
    let before = buffer.count
    let rendering = renderer.render(event, for: nil, into: buffer)
    if case .close(let code, let reason) = rendering {
      closing = Closing(code: code, reason: reason, members: members)
    }
    if frames == nil {
      if buffer.count > before { frames = buffer } else { buffers.giveBack(buffer) }
    }
    return rendering
  }

  /// Sends one member what it has not got yet of this turn's frames, so that a direct answer comes behind them.
  func catchUp(_ membership: Membership) -> Delivery {
    guard let frames, membership.cursor < frames.count else { return .delivered }
    let offset = membership.cursor
    membership.cursor = frames.count
    return membership.member.deliver(frames, from: offset)
  }

  /// Lets the member have what is rendered without being sent it.
  func passOver(_ membership: Membership) {
    membership.cursor = frames?.count ?? 0
  }

  /// Sends every member the rest, and returns the members that cannot keep up.
  func flush(buffers: BufferReserve, writes: inout UInt64) -> [Membership] {
    guard let frames else { return [] }
    var behind: [Membership] = []
    let end = frames.count
    for membership in members {
      let offset = membership.cursor
      membership.cursor = 0
      guard offset < end else { continue }
      writes += 1
      if membership.member.deliver(frames, from: offset) == .queueOverLimit {
        behind.append(membership)
      }
    }
    self.frames = nil
    buffers.giveBack(frames)
    return behind
  }

  /// The members to close, and with what, once the frames before the close have been sent.
  func takeClosing() -> Closing? {
    defer { closing = nil }
    return closing
  }
}

/// Keeps one buffer for the next turn, so that a quiet group owns none and a busy reactor allocates none.
final class BufferReserve {
  private static let largestKept = 256 * 1024
  private var spare: SharedBytes?

  func take() -> SharedBytes {
    defer { spare = nil }
    return spare ?? SharedBytes(capacity: 4096)
  }

  func giveBack(_ buffer: SharedBytes) {
    guard spare == nil, buffer.capacity <= Self.largestKept else { return }
    buffer.clear()
    spare = buffer
  }
}
