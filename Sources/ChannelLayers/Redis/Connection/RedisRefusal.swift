/// An error that Redis answers with: a word that says what kind it is, and a sentence.
package struct RedisRefusal: Sendable, Hashable, CustomStringConvertible {
  package let description: String

  package init(_ message: String) {
    description = message
  }

  /// The word it begins with.
  package var code: Substring { description.prefix { $0 != " " } }

  /// What is wrong with the server, or with our standing there, and not with one command or key: after a new connection it
  /// may be another server, or the same one in a better state.
  private static let ofTheServer: Set<Substring> = [
    "READONLY", "LOADING", "NOAUTH", "WRONGPASS", "MOVED", "ASK", "CLUSTERDOWN", "MASTERDOWN", "UNBLOCKED",
    "NOREPLICAS", "BUSY",
  ]

  /// Whether the connection is of no use any more.
  package var endsConnection: Bool { Self.ofTheServer.contains(code) }

  /// Whether the server does not know the command, which one of an older version does not.
  var isUnknownCommand: Bool { description.lowercased().contains("unknown command") }
}
