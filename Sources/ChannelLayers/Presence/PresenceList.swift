import JSON

/// Who is in a group.
package struct PresenceList: Sendable, Hashable {
  /// How many names a list has at most.
  package static let mostUsers = 1000
  /// How long the names of a list are together at most, in bytes.
  static let mostBytes = 64 * 1024

  /// Each once, however many sessions it has; the first ones in the order of their bytes.
  package var users: [String]
  /// Sessions without an identity.
  package var anonymous: Int
  /// All users, also those that are not in the list, and anonymous sessions.
  package var count: Int

  package init(users: [String], anonymous: Int, count: Int) {
    self.users = users
    self.anonymous = anonymous
    self.count = count
  }

  /// Appends `{"users": [...], "anonymous": N, "count": M}`.
  package func appendJSON(to text: inout [UInt8]) {
    text.append(contentsOf: #"{"users": ["#.utf8)
    for (index, user) in users.enumerated() {
      if index > 0 { text.append(contentsOf: ", ".utf8) }
      JSONText.append(string: user, to: &text)
    }
    text.append(contentsOf: #"], "anonymous": \#(anonymous), "count": \#(count)}"#.utf8)
  }
}

/// What the members of a group are told when somebody came or went.
enum PresenceNotice: Sendable, Hashable {
  case joined(ExactText)
  case left(ExactText)
  /// Without names: of anonymous sessions, or in a large group.
  case counted(anonymous: Int)

  /// - Parameter count: of the group, when all that changed with it is told.
  func text(count: Int) -> [UInt8] {
    var text: [UInt8] = []
    switch self {
    case .joined(let user):
      text.append(contentsOf: #"{"joined": "#.utf8)
      JSONText.append(string: user.text, to: &text)
    case .left(let user):
      text.append(contentsOf: #"{"left": "#.utf8)
      JSONText.append(string: user.text, to: &text)
    case .counted(let anonymous): text.append(contentsOf: #"{"anonymous": \#(anonymous)"#.utf8)
    }
    text.append(contentsOf: #", "count": \#(count)}"#.utf8)
    return text
  }
}

extension Event {
  /// Of the events that presence makes: they stay in the process, and clients of a route with `presence` are shown them.
  package static let presenceType = "sluice.presence"
  /// The one field of such an event: encoded JSON, which no event from another process has.
  package static let presenceField = "presence"

  init(presence text: [UInt8]) {
    self.init(type: Self.presenceType, fields: [.init(Self.presenceField, .encodedJSON(text))])
  }
}
