/// How an event reaches the sessions of a group, on this reactor, on the others, and in other processes.
///
/// This is a reactor's end of a layer: confined to the reactor it was made for, and made once for each.
/// Whatever way an event takes, it ends in `groups`.
package protocol ChannelLayer: AnyObject {
  /// The members that live on this reactor.
  var groups: LocalGroups { get }

  /// Sends the event to every session in the group, the sender's included. Events of one sender keep their order.
  ///
  /// What turns out later not to have been sent is told to the sender by `GroupMember.undelivered`.
  func publish(_ event: Event, to group: String, from sender: Membership)

  /// Sends an event that no session sends to every session in the group, and calls back: at once, or later on the reactor.
  ///
  /// Events that are published one after the other on one reactor keep their order.
  func publish(_ event: Event, to group: String, completed: @escaping (Published) -> Void)

  /// Makes the group's events come to this reactor, and calls back: at once, or later on the reactor.
  ///
  /// Every call is followed by one of `unsubscribe`, also while it has not called back, unless it gives `.unavailable`.
  func subscribe(to group: String, _ completed: @escaping (Subscription) -> Void)

  /// Ends what one `subscribe` began.
  func unsubscribe(from group: String)

  /// What is kept of the group's history behind a position, as far as it was delivered on this reactor: what comes later comes
  /// to its members. Only for a group that is subscribed to.
  ///
  /// - Parameters:
  ///   - position: nil for all that is kept.
  ///   - bytes: where the slice may end, after at least one event.
  ///   - isContinued: whether the position is the end of a slice that was just read: then what is to be kept no longer, and is still
  ///     there, is no gap.
  /// - Returns: nil where the group keeps no history.
  func history(of group: String, behind position: EventPosition?, bytes: Int, isContinued: Bool)
    -> HistorySlice?
}

extension ChannelLayer {
  package func history(of group: String, behind position: EventPosition?, bytes: Int, isContinued: Bool)
    -> HistorySlice?
  { nil }

  package func history(of group: String, behind position: EventPosition?, bytes: Int) -> HistorySlice? {
    history(of: group, behind: position, bytes: bytes, isContinued: false)
  }
}

/// What became of an event that was published.
package struct Published: Sendable, Equatable {
  /// Its place in the history of its group; nil where the group has none, or where it has not been sent.
  package var position: EventPosition?
  package var undelivered: Undelivered?

  package init(position: EventPosition? = nil, undelivered: Undelivered? = nil) {
    self.position = position
    self.undelivered = undelivered
  }
}

/// What came of a wish to get a group's events.
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

  package init(_ event: Event, to group: String) {
    self.event = event
    self.group = group
  }
}
