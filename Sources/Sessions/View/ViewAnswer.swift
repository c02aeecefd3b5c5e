package import ChannelLayers
package import JSON
package import WebSocketCore

/// What a view has answered: what is to be done, in this order.
package struct ViewAnswer: Sendable, Equatable {
  package enum Action: Sendable, Equatable {
    case join(String)
    case leave(String)
    /// To the session alone. Text is UTF-8.
    case send(MessageKind, [UInt8])
    case publish(Publication)
    case close(code: UInt16, reason: String)
  }

  package struct Publication: Sendable, Equatable {
    package enum Recipients: Sendable, Equatable {
      case all
      /// All sessions of the group except the one that the question was about.
      case others
      /// The sessions of this user in the group.
      case user(String)
    }

    package var group: String
    package var event: Event
    package var recipients = Recipients.all
    package var isEphemeral = false

    package init(
      group: String, event: Event, recipients: Recipients = .all, isEphemeral: Bool = false
    ) {
      self.group = group
      self.event = event
      self.recipients = recipients
      self.isEphemeral = isEphemeral
    }
  }

  /// What becomes of a session that is not asked about for a while.
  package enum Idle: Sendable, Equatable {
    /// Nothing.
    case silent
    /// The view is asked with no message, after that long without a question.
    case asked(after: Duration)
  }

  /// The most actions of one answer: one with more cannot be used.
  package static let mostActions = 1000

  package var actions: [Action] = []
  /// The new opaque value as JSON text; nil if the answer has none, so that the old one stays.
  package var state: [UInt8]?
  /// How many of the messages were handled; nil for all.
  package var taken: Int?
  /// Of *connect*: the client's name; nil if the answer names none.
  package var user: String?
  /// Of *connect*, added to what is known.
  package var claims: JSON?
  /// The most of them, as JSON text: each later question has them. Bytes.
  static let longestClaims = 16 * 1024
  /// Of *connect*: one of those that the client offers.
  package var subprotocol: String?
  /// Holds until another answer says otherwise; nil if the answer says nothing. Only of `protocol: websocket-over-http`.
  package var idle: Idle?
  /// What of the answer is not done, and harms nobody: a few sentences without a full stop, for the log. Only of
  /// `protocol: websocket-over-http`.
  package var passedOver: [String] = []
  /// How long the question was asked in vain before this answer came.
  var failedFor = Duration.zero

  package init() {}
}

/// What came of a question in the end.
package enum ViewOutcome: Sendable {
  case answered(ViewAnswer)
  /// *connect* only: the view does not let the client in. The refusal has its status, its body and the fields that are passed on.
  ///
  /// - Parameter mayHaveRun: whether the view may have let it in at an earlier attempt, whose answer was lost.
  case refused(HandshakeRefusal, mayHaveRun: Bool = false)
  /// There is an answer, and it cannot be used; the log says why.
  case unusable(ViewFailure)
  /// No answer came within the time for it; the log says why.
  case failed(ViewFailure)
}

/// Why a question has no usable answer.
package struct ViewFailure: Error, Sendable, Equatable {
  /// For the log: a sentence without a full stop.
  package var reason: String
  /// Whether the view may have run: something of the question was sent, in any of its attempts.
  package var mayHaveRun: Bool
  /// When it is worth to ask again; nil if nothing is known.
  package var retryAfter: Duration?
  /// Whether the last attempt was answered, with an error of the view.
  package var isOfView = false

  package init(reason: String, mayHaveRun: Bool, retryAfter: Duration? = nil, isOfView: Bool = false) {
    self.isOfView = isOfView
    self.reason = reason
    self.mayHaveRun = mayHaveRun
    self.retryAfter = retryAfter
  }
}

extension ViewAnswer.Publication {
  /// The event with those who are to get it.
  ///
  /// - Parameters:
  ///   - address: of the session that the question was about.
  ///   - isKeptBack: whether the session must not get it whoever else does.
  func addressed(from address: String, isKeptBack: Bool = false) -> Event {
    var event = event
    if isEphemeral { event.fields.append(.init(Event.ephemeralMark, .json(.bool(true)))) }
    var chosen = EventRecipients()
    if isKeptBack || recipients == .others { chosen.except = [address] }
    if case .user(let user) = recipients { chosen.user = user }
    return event.addressed(to: chosen)
  }
}
