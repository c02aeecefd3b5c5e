/// The connections of a reactor that have work left, which no event reports or which waits for its turn, in the order in which they are served.
///
/// A connection is in it at most once, as it knows itself. What was closed meanwhile is found out when its turn comes.
struct ReadyList {
  private var connections: [Connection?] = []
  /// Places before this one have been served; they are dropped together, so that serving stays linear.
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
