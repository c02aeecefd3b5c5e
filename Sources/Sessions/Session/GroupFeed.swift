import ChannelLayers
import Consumers
import Routing
import Transport

/// What a client has of its groups, by a WebSocket session or by an event stream: its places in them, the part of the history
/// that it is still sent, and who it is and for how long.
///
/// A value of three references inside its owner, so that an answer reaches the membership without another step. A delivery to the
/// client does not touch it.
struct GroupFeed {
  /// In the first group of the route, to which the client's messages go.
  private(set) var membership: Membership?
  /// While the client is sent what its first group keeps of the time before.
  var replay: Replay?
  private(set) var extras: Extras?

  /// State that only some clients need: identity, further groups, presence. Allocated on first use.
  final class Extras {
    /// Nil for an anonymous client.
    var identity: Identity?
    /// The captures of the path, where the client can ask for groups.
    var captures = Captures()
    /// The memberships in groups that the client only listens to: those of the route first.
    var others: [Membership] = []
    /// How many of `others` are of the route. The client cannot leave them.
    var ofRoute = 0
    /// The value of `LocalGroups.deliveries` when the client was last sent what `others` had for it.
    var caughtUpWith: UInt64 = 0
    /// The groups that are subscribed to, so that the client joins them.
    var awaited = AwaitedGroups()
    /// Until when the client cannot send; nil if it can.
    var mutedUntil: MonotonicTime?
    /// The part of it that is about this session alone, which no order about its user or its group ends.
    var mutedAlone: MonotonicTime?
    /// Set while the client has shown, or is to show, who it is.
    var token: TokenState?
    /// Set where messages are counted.
    var meter: MessageMeter?
    /// Set where views are asked again about the client, or about its next token.
    var standing: StandingQuestion?
    /// Set where the route tells who is there.
    var presence: PresentMember?
  }

  /// Who the client is, and for how long. An object of its own, as many sessions with extras have none.
  final class TokenState {
    /// Set until a client has shown its first token in a message.
    var awaited: AwaitedToken?
    /// For the arrival of the first token, and later for the end of a token.
    var timer: Timer?
    /// When its further tokens will be paid for, where a view is asked about each. Nanoseconds of the monotonic clock.
    var renewalsPaidAt: UInt64 = 0
    /// Whether the client was told that its token is about to expire.
    var isExpiring = false
    /// The request for the check of a token. Nothing is read meanwhile.
    var ticket: Int?
    /// The groups of a client whose first token was good, while they are subscribed to.
    var groups: GroupsOpening?

    init(awaited: AwaitedToken? = nil) {
      self.awaited = awaited
    }
  }

  /// A session whose client has to show a token in its first message. Until then it is in no group.
  final class AwaitedToken {
    /// Goes on when the token has arrived.
    var admission: Admission
    /// Of the request, for the log if the client is refused.
    let target: [UInt8]?
    let peer: PeerAddress

    init(_ admission: Admission, target: [UInt8]?, peer: PeerAddress) {
      self.admission = admission
      self.target = target
      self.peer = peer
    }
  }

  mutating func makeExtras() -> Extras {
    let extras = extras ?? Extras()
    self.extras = extras
    return extras
  }

  /// Keeps what is needed later of an opening, before its groups are joined.
  ///
  /// - Parameters:
  ///   - hasControls: whether the client can send messages to the gateway itself.
  ///   - needsCaptures: whether the route makes something of the captures of the path.
  mutating func keep(_ opening: Opening, hasControls: Bool, needsCaptures: Bool = false) {
    let keepsCaptures = hasControls || needsCaptures
    guard
      opening.identity != nil || opening.standing != nil || opening.groups.count > 1 || keepsCaptures
    else { return }
    let extras = makeExtras()
    if extras.standing == nil { extras.standing = opening.standing.map(StandingQuestion.init) }
    extras.identity = opening.identity
    extras.ofRoute = max(0, opening.groups.count - 1)
    if keepsCaptures { extras.captures = opening.captures }
  }

  /// Adds a membership behind the others.
  mutating func add(_ membership: Membership) {
    if self.membership == nil {
      self.membership = membership
    } else {
      makeExtras().others.append(membership)
    }
  }

  /// Whether one of these groups is of the route and not its first one.
  func hasOtherOfRoute(in groups: Set<String>) -> Bool {
    guard let extras else { return false }
    return extras.others.prefix(extras.ofRoute).contains { groups.contains($0.group) }
  }

  /// Lets the next group of the route take the place of the first one; the caller leaves the old one.
  ///
  /// - Returns: nil, and nothing is changed, where there is no other one.
  mutating func replaceFirst() -> (old: Membership, new: Membership)? {
    guard let old = membership, let extras, extras.ofRoute > 0, !extras.others.isEmpty else { return nil }
    let new = extras.others.removeFirst()
    extras.ofRoute -= 1
    membership = new
    return (old, new)
  }

  /// Gives up the first group; the next one takes its place.
  mutating func removeFirst() -> Membership? {
    let old = membership
    membership = nil
    guard let extras, !extras.others.isEmpty else { return old }
    membership = extras.others.removeFirst()
    extras.ofRoute = max(0, extras.ofRoute - 1)
    return old
  }

  /// Adds a membership before the others.
  mutating func addFirst(_ membership: Membership) {
    if let old = self.membership {
      let extras = makeExtras()
      extras.others.insert(old, at: 0)
      extras.ofRoute += 1
    }
    self.membership = membership
  }

  /// All memberships, in the order in which the groups were joined.
  var memberships: [Membership] {
    guard let membership else { return [] }
    return [membership] + (extras?.others ?? [])
  }

  /// Gives up all memberships; the caller leaves the groups.
  mutating func takeMemberships() -> [Membership] {
    let memberships = memberships
    membership = nil
    extras?.others = []
    return memberships
  }

  /// The most groups of a client beside those of its route.
  static let mostJoined = 256

  /// Whether the client may wait for this group beside those of its route, or does already.
  func hasRoom(for group: String) -> Bool {
    guard let extras else { return true }
    return extras.awaited.has(group)
      || extras.others.count - extras.ofRoute + extras.awaited.counted < Self.mostJoined
  }

  func isMember(of group: String) -> Bool {
    membership?.group == group || extras?.others.contains { $0.group == group } == true
  }
}
