import Bytes
import JSON

/// The users and sessions in a group.
package struct PresenceList: Sendable, Hashable {
  /// The most names in a list.
  package static let mostUsers = 1000
  /// The most bytes of all names in a list.
  static let mostBytes = 64 * 1024

  /// Each user once, however many sessions it has; the first ones in the order of their bytes.
  package var users: [String]
  /// Sessions without an identity.
  package var anonymous: Int
  /// All users, including those that are not in the list, and anonymous sessions.
  package var count: Int

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

/// A notice for the members of a group that users or sessions came or left.
enum PresenceNotice: Sendable, Hashable {
  case joined(ExactText)
  case left(ExactText)
  /// Without names: of anonymous sessions, or in a large group.
  case counted(anonymous: Int)

  /// - Parameter count: the count of the group after all its announced changes.
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
  /// The type of presence events. They stay in the process, and go to clients of routes with `presence`.
  package static let presenceType = "sluice.presence"
  /// The one field of such an event: encoded JSON, which no event from another process has.
  package static let presenceField = "presence"

  init(presence text: [UInt8]) {
    self.init(type: Self.presenceType, fields: [.init(Self.presenceField, .encodedJSON(text))])
  }
}
