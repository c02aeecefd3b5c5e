package import GatewayConfig

/// An event that is to be recorded in a history outside of this process.
package struct RecordRequest: Sendable {
  /// The publisher of the event, which gets the result.
  package enum Source: Sendable, Hashable {
    /// A session, by the number of its reactor and its own. It gets a result only if the event was not delivered to every member.
    case member(Int, MemberNumber)
    /// A caller that waits for the result, by the number of its reactor and its ticket.
    case ticket(Int, Int)
    /// Another program that uses the layer. Every process receives the event, and one of them records it. There is no result.
    case foreign
  }

  package var event: Event
  package var group: String
  package var limits: HistoryConfiguration
  package var source: Source

  package init(event: Event, group: String, limits: HistoryConfiguration, source: Source) {
    (self.event, self.group, self.limits, self.source) = (event, group, limits, source)
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
  /// - Returns: why the event is not accepted; nil if it is accepted, and the result follows.
  func publish(_ request: RecordRequest) -> Undelivered?

  /// A reactor's first member has joined a group, or its last member has left. Each `wanted` is answered by `.subscribed`.
  func change(_ change: InterestChange)
}
