package import GatewayConfig

/// The sender of an event in this process.
package enum Sender: Sendable, Hashable {
  /// A session, which is notified only if the event did not reach every member.
  case session(reactor: Int, member: MemberNumber)
  /// A publisher outside of the group. The reactor gets the result for this ticket once, success or failure.
  case outside(reactor: Int, ticket: Int)
}

/// An event that is to be recorded in a history outside of this process.
package struct RecordRequest: Sendable {
  package var event: Event
  package var group: String
  package var limits: HistoryConfiguration
  /// Nil for another program that uses the layer. Every process receives its event, and one of them records it.
  package var sender: Sender?

  package init(event: Event, group: String, limits: HistoryConfiguration, sender: Sender?) {
    (self.event, self.group, self.limits, self.sender) = (event, group, limits, sender)
  }
}

/// A reactor's first member has joined a group, or its last member has left.
package enum InterestChange: Sendable {
  case wanted(group: String, reactor: Int)
  case unwanted(group: String, reactor: Int)
}

/// Keeps the histories of a layer outside of this process, and copies of them in a `GroupHistory` for the groups that reactors
/// use. It sends its results to the reactors' mailboxes.
package protocol HistoryRecorder: Sendable {
  /// Records the event and then publishes it.
  ///
  /// Nothing happens before `wake`.
  ///
  /// - Returns: why the event is not accepted; nil if it is accepted, and the result follows.
  func publish(_ request: RecordRequest) -> Undelivered?

  /// Called at the end of a turn, after its events.
  func wake()

  /// A reactor's first member has joined a group, or its last member has left. Each `wanted` is answered by `.subscribed`.
  func change(_ change: InterestChange)
}
