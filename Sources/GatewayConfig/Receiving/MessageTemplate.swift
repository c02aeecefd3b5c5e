package import JSON

/// JSON that is made of one message of a client, and of what is known of its session.
package indirect enum MessageTemplate: Sendable, Hashable {
  /// `"{frame.x}"` alone: the value with its type; null if there is none.
  case place(MessagePlace)
  /// Text around places. A place without a value is empty.
  case text([Part])
  case constant(JSON)
  case array([MessageTemplate])
  /// In the order written.
  case object([Member])

  package enum Part: Sendable, Hashable {
    case literal(String)
    case place(MessagePlace)
  }

  package struct Member: Sendable, Hashable {
    package var key: String
    package var value: MessageTemplate
  }
}

/// What can stand in a template. It is decided when the file is read, so that no message of a client can fill another place.
package enum MessagePlace: Sendable, Hashable {
  /// `{frame.x}`: a member of the message, or one within it: `x.y`, `items.0`.
  case frame(String)
  /// `{user}` of an authenticated client.
  case user
  /// `{claims.x}`, without the beginning.
  case claim(String)
  /// What the path captured under this name.
  case capture(String)
  /// `{channel}`
  case address
  /// `{state.x}`, without the beginning.
  case state(String)
  /// `{sluice.time}`: the time of the message by RFC 3339, in UTC, with milliseconds.
  case time
  /// `{sluice.timestamp}`: the same in seconds since 1970.
  case timestamp
  /// `{sluice.id}`: another text for each message of any client, 128 random bits in the form of a UUID.
  case id
  /// `{sluice.group}`: the group that the event goes to, or else the first one of the session.
  case group
}

extension MessageTemplate {
  package var places: [MessagePlace] {
    switch self {
    case .place(let place): [place]
    case .text(let parts): parts.places
    case .constant: []
    case .array(let elements): elements.flatMap(\.places)
    case .object(let members): members.flatMap(\.value.places)
    }
  }
}

extension [MessageTemplate.Part] {
  package var places: [MessagePlace] {
    compactMap { if case .place(let place) = $0 { place } else { nil } }
  }
}

extension MessagePlace {
  package static let framePrefix = "frame."
  package static let statePrefix = "state."

  /// Whether a client decides what stands there.
  package var isOfClient: Bool {
    switch self {
    case .frame, .capture: true
    case .user, .claim, .address, .state, .time, .timestamp, .id, .group: false
    }
  }

  var isCapture: Bool { if case .capture = self { true } else { false } }
}
