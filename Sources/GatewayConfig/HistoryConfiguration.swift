/// `history:`, what is kept of a group's events for those who come later or come back.
package struct HistoryConfiguration: Sendable, Hashable {
  /// The most events that are kept.
  package var messages: Int
  /// How long an event is kept, and how long a quiet group is remembered. Whole seconds.
  package var age: Duration

  package init(messages: Int, age: Duration = .seconds(3600)) {
    self.messages = messages
    self.age = age
  }

  /// What holds for a group that two routes keep differently: the larger of each.
  package func union(_ other: HistoryConfiguration) -> HistoryConfiguration {
    HistoryConfiguration(messages: max(messages, other.messages), age: max(age, other.age))
  }
}
