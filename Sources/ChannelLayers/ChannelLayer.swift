package import Transport

/// Carries events to the sessions of a group: on this reactor, on the others, and in other processes.
///
/// This is a reactor's end of a layer: confined to the reactor it was made for, and made once for each. Every event ends in
/// `groups`, however it arrives.
package protocol ChannelLayer: AnyObject {
  /// The members that live on this reactor.
  var groups: LocalGroups { get }

  /// Sends the event to every session in the group, including the sender. Events of one sender keep their order.
  ///
  /// If it turns out later that the event was not sent, the sender is notified by `GroupMember.undelivered`.
  func publish(_ event: Event, to group: String, from sender: Membership)

  /// Sends an event without a sending session to every session in the group, and calls back: at once, or later on the reactor.
  ///
  /// Events that are published one after the other on one reactor keep their order.
  func publish(_ event: Event, to group: String, completed: @escaping (Published) -> Void)

  /// The other reactors of this process that have subscribers of the group. If the layer ends with this process, and keeps no
  /// history of the group, a look at their groups comes after the delivery of what this reactor has published before.
  func peers(of group: String) -> [any GroupPeer]

  /// Begins to deliver the group's events to this reactor, and calls back: at once, or later on the reactor.
  ///
  /// Every call must be matched by one of `unsubscribe`, even before it has called back, unless it gives `.unavailable`.
  func subscribe(to group: String, _ completed: @escaping (Subscription) -> Void)

  /// Ends one `subscribe`.
  func unsubscribe(from group: String)

  /// The kept events of the group after a position, as far as they were delivered on this reactor. Later events reach its
  /// members as usual. Only for a subscribed group.
  ///
  /// - Parameters:
  ///   - position: nil for all kept events.
  ///   - bytes: where the slice may end, after at least one event.
  ///   - isContinued: whether the position is the end of a slice that was just read. Events that are too old, but still
  ///     there, are then no gap.
  /// - Returns: nil if the group keeps no history.
  func history(of group: String, behind position: EventPosition?, bytes: Int, isContinued: Bool)
    -> HistorySlice?

  /// How far the events of recorded groups were delivered here.
  var deliveredPositions: [String: EventPosition] { get }

  /// The groups that are subscribed to although nobody is in them any more, and since when.
  var idleGroups: [String: MonotonicTime] { get }

  /// Goes on where a reactor of another process was, before the first subscription. To be called for each that this one takes the place of.
  func resume(_ state: LayerState.Groups)

  /// A session has joined a group for which it was `resubscribe`d. All sessions that join so, also those of other reactors of that process,
  /// do so in one turn.
  ///
  /// - Parameter position: how far the group's events were delivered to it.
  func resumed(_ membership: Membership, at position: EventPosition)

  /// Subscribes for a session that was subscribed in another process. Whether the layer is there does not matter: it will be. Must be
  /// matched by one call of `unsubscribe`.
  func resubscribe(to group: String)
}

extension ChannelLayer {
  package func history(of group: String, behind position: EventPosition?, bytes: Int, isContinued: Bool)
    -> HistorySlice?
  { nil }

  package var deliveredPositions: [String: EventPosition] { [:] }
  package var idleGroups: [String: MonotonicTime] { [:] }
  package func resume(_ state: LayerState.Groups) {}
  package func resumed(_ membership: Membership, at position: EventPosition) {}
  package func resubscribe(to group: String) { subscribe(to: group) { _ in } }

  package func history(of group: String, behind position: EventPosition?, bytes: Int) -> HistorySlice? {
    history(of: group, behind: position, bytes: bytes, isContinued: false)
  }

  /// All kept events, behind a gap: for a reader whose position is taken for lost.
  package func historyBehindGap(of group: String, bytes: Int) -> HistorySlice? {
    var slice = history(of: group, behind: nil, bytes: bytes)
    slice?.isGap = true
    return slice
  }
}

/// The result of publishing an event.
package struct Published: Sendable, Equatable {
  /// The event's position in the history of its group; nil if the group has none, or if the event was not sent.
  package var position: EventPosition?
  package var undelivered: Undelivered?

  package init(position: EventPosition? = nil, undelivered: Undelivered? = nil) {
    self.position = position
    self.undelivered = undelivered
  }
}

/// The result of subscribing to a group.
package enum Subscription: Sendable, Equatable {
  case active
  /// The layer cannot be reached.
  case unavailable
}

/// Why an event did not reach everybody.
package enum Undelivered: String, Sendable, Hashable {
  case unavailable = "the message was not sent: the channel layer is not available"
  case partly = "the message did not reach everybody: a part of the channel layer is not available"
  case backlog = "the message was not sent: too many messages are waiting for the channel layer"
  case full = "the message did not reach everybody: the queue of a receiver is full"
  case notSerializable = "the message cannot be sent through the channel layer"
  case unconfirmed =
    "the message may not have reached everybody: the connection to the channel layer was lost"
}

/// An event on its way from one reactor to another.
package struct GroupEvent: Sendable {
  package var event: Event
  package var group: String
  package var size: Int { event.size }

  package init(_ event: Event, to group: String) {
    self.event = event
    self.group = group
  }
}
