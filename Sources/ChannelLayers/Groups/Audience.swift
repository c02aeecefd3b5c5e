import Transport

/// The members of one group that receive its events in the same form: the sessions of one route on one reactor.
///
/// An event is rendered once into `frames`. At the end of the turn each member is sent, in one write, everything that was
/// rendered since its last write.
final class Audience {
  let group: String
  let key: ObjectIdentifier
  let renderer: any EventRenderer
  /// Whether the renderer may choose who gets an event.
  let selects: Bool
  /// The index in the list of all audiences.
  var place = 0
  private(set) var members: [Membership] = []
  /// The rendered events of this turn; nil while there is nothing to send.
  private(set) var frames: SharedBytes?
  private(set) var closing: Closing?

  struct Closing {
    var code: UInt16
    var reason: String
    /// The members at the time of the event. Sessions that join later in the turn are not closed.
    var members: [Membership]
    /// Whether a session has joined later.
    var hasNewcomers = false
  }

  init(group: String, key: ObjectIdentifier, renderer: any EventRenderer) {
    self.group = group
    self.key = key
    self.renderer = renderer
    selects = renderer.selects
  }

  var hasWork: Bool { frames != nil || closing != nil }

  func add(_ member: any GroupMember, number: MemberNumber) -> Membership {
    let membership = Membership(
      member: member, number: number, audience: self, index: members.count, cursor: frames?.count ?? 0)
    append(membership)
    return membership
  }

  /// Moves a member here from another audience of the group. It does not receive the frames that were rendered earlier in this
  /// turn.
  func adopt(_ membership: Membership) {
    membership.audience = self
    membership.index = members.count
    membership.cursor = frames?.count ?? 0
    append(membership)
  }

  private func append(_ membership: Membership) {
    members.append(membership)
    closing?.hasNewcomers = true
  }

  /// Removes a member in constant time: the last member takes its place.
  func remove(_ membership: Membership) {
    let last = members.removeLast()
    guard last !== membership else { return }
    last.index = membership.index
    members[membership.index] = last
  }

  /// - Parameter absent: members of this audience. Each of the two lists is looked through once.
  func members(except absent: [Membership]) -> [Membership] {
    guard !absent.isEmpty else { return members }
    let places = Set(absent.map(\.index))
    return members.filter { !places.contains($0.index) }
  }

  /// Renders the event after the frames that are already waiting.
  ///
  /// - Parameter absent: members that it does not close. Its frames have to be passed over for them.
  func render(_ event: Event, buffers: BufferReserve, except absent: [Membership] = []) -> Rendering {
    guard closing == nil else { return .ignored }
    let buffer = frames ?? buffers.take()
    let before = buffer.count
    let rendering = renderer.render(event.named(group, for: renderer), for: nil, into: buffer)
    if case .close(let code, let reason) = rendering {
      closing = Closing(code: code, reason: reason, members: members(except: absent))
    }
    if frames == nil {
      if buffer.count > before { frames = buffer } else { buffers.giveBack(buffer) }
    }
    return rendering
  }

  /// Sends one member the rest of this turn's frames, so that a direct answer comes after them.
  func catchUp(_ membership: Membership) -> Delivery {
    guard let frames, membership.cursor < frames.count else { return .delivered }
    let offset = membership.cursor
    membership.cursor = frames.count
    return membership.member.deliver(frames, from: offset)
  }

  /// Marks the rendered frames as received by the member without sending them.
  func passOver(_ membership: Membership) {
    membership.cursor = frames?.count ?? 0
  }

  /// Sends every member the rest of the frames, and returns the members that cannot keep up.
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

  /// The members to close, with code and reason, once the frames before the close have been sent.
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
