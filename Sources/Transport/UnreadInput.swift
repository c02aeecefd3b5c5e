/// The bytes that the handlers of one reactor's connections left, and the bound on them. Confined to its reactor.
final class UnreadInput {
  var allowance = MemoryAllowance(of: MemoryBudget(total: .max / 2), among: 1)
  private(set) var rests: [UnreadBytes] = []
  var relieve: () -> Void = {}

  func add(_ rest: UnreadBytes) {
    rest.place = rests.count
    rests.append(rest)
    allowance.add(rest.size)
  }

  func remove(_ rest: UnreadBytes) {
    let last = rests.removeLast()
    if last !== rest {
      last.place = rest.place
      rests[rest.place] = last
    }
    allowance.subtract(rest.size)
    // After a flood, the list does not keep its memory.
    if rests.isEmpty, rests.capacity > 1024 { rests = [] }
  }
}

extension Reactor {
  /// Bounds the bytes that handlers leave on this reactor. Must be called before the first connection. The allowance may count
  /// other memory, too.
  ///
  /// - Parameters:
  ///   - kept: called when a handler leaves bytes.
  ///   - relieve: called soon after more is counted than there is memory for. It has to close connections.
  public func boundReading(
    by allowance: MemoryAllowance, kept: @escaping () -> Void, relieve: @escaping () -> Void
  ) {
    precondition(unread.rests.isEmpty, "something is counted already")
    unreadKept = kept
    unread.allowance = allowance
    unread.relieve = relieve
  }

  /// The connections with left bytes, in no order, and when some of the bytes were last handled, or when they were left:
  /// nanoseconds of the reactor's clock. Also those of which TLS has kept some, with how many that are: they become free only when
  /// the connection is read again, or released.
  public var unreadConnections: [(connection: Connection, since: UInt64, soon: Int)] {
    unread.rests.map { ($0.connection, $0.since, 0) }
      + connections.compactMap { connection in
        connection.heldByTLS.map { (connection, $0.since, $0.bytes) }
      }
  }

  func count(_ rest: UnreadBytes) {
    unread.add(rest)
    noteKept()
  }

  /// Something is kept that was read.
  func noteKept() {
    // Whether a connection has to be closed to free memory.
    isUnreadOver = unread.allowance.isOver
    unreadKept()
  }
}
