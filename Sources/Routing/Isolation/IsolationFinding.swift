/// What can be wrong with who shares a group with whom. Uses are told by their numbers in the list that was analysed.
package struct IsolationFinding: Sendable, Hashable {
  package enum Kind: Sendable, Hashable, CaseIterable {
    /// A client without credentials comes by groups that are kept to those with credentials.
    case leak
    /// A client without credentials reads what is published by those with credentials.
    case publicReading
    /// A client comes by a group that is somebody else's.
    case personal
    /// A client with other or fewer rights comes by a group.
    case audience
    /// A client can send what is shown as the message of another user.
    case impersonation
    /// The use can make a name that is the gateway's own.
    case reserved
    /// What the operator allows does not happen.
    case needlessShared
  }

  package var kind: Kind
  /// Whose the fault is.
  package var use: Int
  /// With whom it shares, in the order of the list; only the first ones where there are many.
  package var encounters: [Encounter]
  /// How many there are.
  package var count: Int
  /// Whether it was shown that it happens; else it was only not shown that it does not.
  package var isShown: Bool
}

/// Another use, and how both come by one name.
package struct Encounter: Sendable, Hashable {
  package var other: Int
  /// Nil where none is known.
  package var example: Example?

  package struct Example: Sendable, Hashable {
    package var name: String
    /// Paths that lead there; nil where none was found.
    package var path: String?
    package var otherPath: String?
    /// The fields of the identity that both must have, by their names.
    package var identity: [String: String]
    package var otherIdentity: [String: String]
  }
}
