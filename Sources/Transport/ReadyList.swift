/// The connections of a reactor that have work left, in the order in which they are served. No event reports this work, or the
/// work waits for its turn.
///
/// A connection is in the list at most once; the connection itself makes sure of that. If it was closed meanwhile, this is
/// found out when its turn comes.
struct ReadyList {
  private var connections: [Connection?] = []
  /// Places before this one have been served. They are removed together, so that serving takes linear time.
  private var first = 0

  var count: Int { connections.count - first }
  var isEmpty: Bool { count == 0 }

  mutating func append(_ connection: Connection) {
    connections.append(connection)
  }

  mutating func popFirst() -> Connection? {
    guard !isEmpty else { return nil }
    let connection = connections[first]
    connections[first] = nil
    first += 1
    if first == connections.count || first >= 64 && first * 2 > connections.count {
      connections.removeFirst(first)
      first = 0
    }
    return connection
  }

  mutating func removeAll() {
    connections = []
    first = 0
  }
}
