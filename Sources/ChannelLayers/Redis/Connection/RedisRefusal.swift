/// An error that Redis answers with: a word that says what kind it is, and a sentence.
package struct RedisRefusal: Sendable, Hashable, CustomStringConvertible {
  package let description: String

  /// - Parameter message: as Redis wrote it. Where only a cluster answers so, that is said behind it.
  package init(_ message: String) {
    let isOfCluster = Self.ofClusters.contains(message.prefix { $0 != " " })
    description = isOfCluster ? "\(message) (\(Self.clusterAdvice))" : message
  }

  /// The same, with where it comes from.
  func of(_ server: String) -> RedisRefusal { RedisRefusal(description: "\(description) (\(server))") }

  private init(description: String) {
    self.description = description
  }

  private static let ofClusters: Set<Substring> = ["MOVED", "ASK", "CROSSSLOT", "CLUSTERDOWN"]
  private static let clusterAdvice =
    "this server is a Redis Cluster: use one that is not, or the backend redis_pubsub without history and presence"

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
