package import GatewayConfig

/// An event on its way into a history that is kept elsewhere.
package struct RecordRequest: Sendable {
  /// Who is told what became of it.
  package enum Source: Sendable, Hashable {
    /// A session: only where it did not reach everybody.
    case member(Int, MemberNumber)
    /// Somebody at a reactor who waits for it.
    case ticket(Int, Int)
    /// Another program that uses the layer: every process hears it, and one of them records it.
    case foreign
  }

  package var event: Event
  package var group: String
  package var limits: HistoryConfiguration
  package var source: Source
}

/// Keeps the truth about a layer's recorded groups outside of this process, and copies of those that reactors want in a
/// `GroupHistory`. It answers in the reactors' mailboxes.
package protocol HistoryRecorder: Sendable {
  /// - Returns: why the event cannot be taken; nil where it was, and what becomes of it is told later.
  func publish(_ request: RecordRequest) -> Undelivered?

  /// A reactor's first member of a group has come, or its last one has gone. Each `wanted` is answered by `.subscribed`.
  func change(_ change: InterestChange)
}

extension RecordRequest: SizedRequest {
  var size: Int { event.size + group.utf8.count }
}
