/// An error reply of Redis: a word for its kind, and a sentence.
package struct RedisRefusal: Sendable, Hashable, CustomStringConvertible {
  package private(set) var description: String

  /// - Parameter message: as Redis wrote it. If only a cluster answers so, an explanation is added.
  package init(_ message: String) {
    description = message
    if Self.ofClusters.contains(code) { add(Self.clusterAdvice) }
  }

  /// Adds an explanation, or the name of the server.
  mutating func add(_ words: String) {
    description += " (\(words))"
  }

  private static let ofClusters: Set<Substring> = ["MOVED", "ASK", "CROSSSLOT", "CLUSTERDOWN"]
  private static let clusterAdvice =
    "this server is a Redis Cluster: use a server that is not a cluster, or the backend redis_pubsub without history and presence"

  /// The first word of the error, which says its kind.
  package var code: Substring { description.prefix { $0 != " " } }

  /// Errors of the server or of the login, and not of one command or key. A new connection may lead to another server, or to
  /// the same one in a better state.
  private static let ofTheServer: Set<Substring> = [
    "READONLY", "LOADING", "NOAUTH", "WRONGPASS", "MOVED", "ASK", "CLUSTERDOWN", "MASTERDOWN", "UNBLOCKED",
    "NOREPLICAS", "BUSY",
  ]

  /// Whether the connection cannot be used any more.
  package var endsConnection: Bool { Self.ofTheServer.contains(code) }

  /// Whether the server does not know the command, because it has an older version.
  package var isUnknownCommand: Bool { description.lowercased().contains("unknown command") }
}
