package import Routing

/// `receive:`, what the gateway itself does with messages of clients.
package struct ReceiveConfiguration: Sendable, Equatable {
  /// `by:`, the member of a message that tells its kind; nil if there are no kinds.
  package var by: String?
  /// `kinds:`
  package var kinds: [String: ReceiveAction] = [:]
  /// `else:`, for every other message: also for one of bytes, and for one that is no JSON object.
  package var otherwise: ReceiveAction

  package init(by: String? = nil, kinds: [String: ReceiveAction] = [:], otherwise: ReceiveAction) {
    self.by = by
    self.kinds = kinds
    self.otherwise = otherwise
  }

  var actions: [ReceiveAction] { Array(kinds.values) + [otherwise] }

  /// The events that clients can cause.
  package var events: [ReceivedEvent] {
    actions.compactMap { if case .event(let event) = $0 { event } else { nil } }
      .sorted { ($0.range.start.line, $0.range.start.column) < ($1.range.start.line, $1.range.start.column) }
  }

  /// What stands in its templates.
  var places: [MessagePlace] {
    actions.flatMap { action in
      switch action {
      case .reply(let template): template.places
      case .event(let event): event.places
      case .publish, .ask, .drop, .error: [MessagePlace]()
      }
    }
  }
}

package enum ReceiveAction: Sendable, Equatable {
  /// To the sender only.
  case reply(MessageTemplate)
  case event(ReceivedEvent)
  /// What the consumer does with a message on a route without `receive`: it goes to the group.
  case publish
  /// The view is asked.
  case ask
  case drop
  /// The sender is told that this is no kind of message here.
  case error

  /// The words for those without anything to say.
  enum Word: String, CaseIterable {
    case ask, drop, error, publish
  }

  init(_ word: Word) {
    self =
      switch word {
      case .ask: .ask
      case .drop: .drop
      case .error: .error
      case .publish: .publish
      }
  }
}

/// An event that a message of a client becomes.
package struct ReceivedEvent: Sendable {
  /// The group that it goes to: always one that the session is in.
  package enum Group: Sendable, Hashable {
    /// The first one of the session.
    case first
    /// The first of its groups that the pattern matches.
    case matching(GroupPattern)
    /// The one with this name, which the message or the view's value can have a part in.
    case named([MessageTemplate.Part])
  }

  package var type: String
  package var fields: [MessageTemplate.Member]
  package var group = Group.first
  /// `to: others`, not to the sender.
  package var isToOthers = false
  /// Whether no history keeps it.
  package var isEphemeral = false
  /// The place of the event in the file.
  package var range: SourceRange

  var places: [MessagePlace] {
    let inGroup: [MessagePlace] =
      switch group {
      case .first: []
      case .matching(let pattern): pattern.captureNames.map(MessagePlace.capture)
      case .named(let parts): parts.places
      }
    return fields.flatMap(\.value.places) + inGroup
  }
}
