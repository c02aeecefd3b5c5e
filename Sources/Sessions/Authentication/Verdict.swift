import JSON
import Transport

/// What a view has answered about a client.
enum Verdict: Sendable {
  /// It lets the client in; the object that it has answered, or nil for an answer without one.
  case accepted(JSON?)
  case refused(AuthRefusal)
  /// There is no usable answer. The log says why.
  case unavailable

  /// Whether the answer has an `exp` that is over.
  var hasExpired: Bool {
    guard case .accepted(let members?) = self, let expires = members.expiry else { return false }
    return expires <= WallClock.secondsSinceEpoch
  }
}

extension JSON {
  /// The most names of groups in an answer.
  static let mostGroups = 256

  /// `exp` of an answer; nil if it is missing, null or no time.
  var expiry: Double? { (try? time("exp")).flatMap(\.self) }

  /// `groups` of an answer: its texts and whole numbers; empty if it is missing, and nil if it is no list of these.
  var groupNames: [String]? {
    guard let groups = self["groups"] else { return [] }
    guard case .array(let elements) = groups else { return nil }
    let names = elements.compactMap { element -> String? in
      switch element {
      case .string(let text): text
      case .integer(let number): "\(number)"
      case .unsigned(let number): "\(number)"
      case .null, .bool, .double, .array, .object: nil
      }
    }
    return names.count == elements.count ? names : nil
  }
}
