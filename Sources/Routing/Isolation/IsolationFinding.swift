/// A problem with clients that share a group. Uses are given by their numbers in the analysed list.
package struct IsolationFinding: Sendable, Hashable {
  /// In the order of findings about one use.
  package enum Kind: Sendable, Hashable, Comparable {
    /// The use can make a name that is the gateway's own.
    case reserved
    /// A client without credentials can reach groups that are restricted to clients with credentials.
    case leak
    /// A client can reach the group of another user.
    case personal
    /// A client with other or fewer rights can reach a group.
    case audience
    /// A client without credentials can read what clients with credentials publish.
    case publicReading
    /// A client can send what is shown as the message of another user.
    case impersonation
    /// `shared: true` has no effect.
    case needlessShared
  }

  package var kind: Kind
  /// The use that is at fault.
  package var use: Int
  /// The uses that share its groups, in the order of the list. If there are many, only the first ones.
  package var encounters: [Encounter] = []
  /// How many such uses there are.
  package var count = 0
  /// Whether an example proves the problem. If false, it was neither proved nor excluded.
  package var isShown = false
}

/// Another use, and how both reach the same name.
package struct Encounter: Sendable, Hashable {
  package var other: Int
  /// Nil if no example is known.
  package var example: Example?

  package struct Example: Sendable, Hashable {
    package var name: String
    /// Paths that lead to the name; nil if none was found.
    package var path: String?
    package var otherPath: String?
    /// The identity fields that both clients must have, by name.
    package var identity: [String: String]
    package var otherIdentity: [String: String]
  }
}
