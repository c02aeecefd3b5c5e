import ChannelLayers

/// The sessions that an order may be about, as they were when it came. Each is let go of when it is taken, so that those that end meanwhile
/// do not end a second time together.
///
/// Beginning to take them copies a reference for each, and nothing else: it looks at none.
struct OrderCandidates {
  private var members: [[Membership]] = []
  private var ofUser: [any UserSession] = []
  private var single: (any GroupMember)?
  /// Those that are left.
  private(set) var count: Int

  /// The members of a group.
  init(members: [[Membership]]) {
    self.members = members
    count = members.reduce(0) { $0 + $1.count }
  }

  /// The sessions of a user.
  init(ofUser sessions: [any UserSession]) {
    ofUser = sessions
    count = sessions.count
  }

  /// The one at an address, if it is here.
  init(single: (any GroupMember)?) {
    self.single = single
    count = single == nil ? 0 : 1
  }

  var isEmpty: Bool { count == 0 }

  /// Takes one, in no order; nil at the end. What else is in a group is no client's, and no session then.
  mutating func next() -> AnyObject? {
    guard count > 0 else { return nil }
    count -= 1
    while let last = members.indices.last {
      if let membership = members[last].popLast() { return membership.member }
      members.removeLast()
    }
    if let session = ofUser.popLast() { return session }
    defer { single = nil }
    return single
  }
}
