/// What the connections of one reactor have left of their reads, and its bound. Confined to its reactor.
final class UnreadInput {
  private(set) var allowance = MemoryAllowance(of: MemoryBudget(total: .max / 2), among: 1)
  private(set) var rests: [UnreadBytes] = []
  private(set) var relieve: () -> Void = {}
  /// Whether somebody has to go.
  var isOver: Bool { allowance.isOver }

  /// Takes what is counted over to another bound; before the first connection.
  func bound(by allowance: MemoryAllowance, _ relieve: @escaping () -> Void) {
    precondition(rests.isEmpty, "something is counted already")
    self.allowance = allowance
    self.relieve = relieve
  }

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
    // A flood leaves no memory behind.
    if rests.isEmpty, rests.capacity > 1024 { rests = [] }
  }
}

/// A connection whose handler has left some of what was read for later.
public struct UnreadConnection {
  public let connection: Connection
  /// When some of it was dealt with last, or when it was left: nanoseconds of the reactor's clock.
  public let since: UInt64
}

extension Reactor {
  /// Bounds what connections leave of their reads on this reactor; before its first connection. The allowance may count other
  /// things, too.
  ///
  /// - Parameters:
  ///   - kept: called when something is left.
  ///   - relieve: called, soon, where more is counted than there is memory for. It has to let some go.
  public func boundReading(
    by allowance: MemoryAllowance, kept: @escaping () -> Void, relieve: @escaping () -> Void
  ) {
    unreadKept = kept
    unread.bound(by: allowance, relieve)
  }

  /// Those that have left something, in no order.
  public var unreadConnections: [UnreadConnection] {
    unread.rests.map { UnreadConnection(connection: $0.connection, since: $0.since) }
  }

  /// What they have left, over all of them. Bytes.
  var unreadBytes: Int { unread.rests.reduce(0) { $0 + $1.size } }

  func count(_ rest: UnreadBytes) {
    unread.add(rest)
    isUnreadOver = unread.isOver
    unreadKept()
  }

  func discount(_ rest: UnreadBytes) {
    unread.remove(rest)
  }
}
