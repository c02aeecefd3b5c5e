/// `history:`, how much of a group's events is kept for clients that join later or reconnect.
package struct HistoryConfiguration: Sendable, Hashable {
  /// The most events that are kept.
  package var messages: Int
  /// How long an event is kept, and how long a quiet group is remembered. Whole seconds.
  package var age: Duration = .seconds(3600)

  /// The history of a group that two routes keep differently: the larger of each value.
  package func union(_ other: HistoryConfiguration) -> HistoryConfiguration {
    HistoryConfiguration(messages: max(messages, other.messages), age: max(age, other.age))
  }
}
