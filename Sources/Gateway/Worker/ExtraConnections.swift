import Sessions

/// The connections of a worker beyond all limits: those that came when all places were taken, of which only health checks are
/// answered, and those that were answered and may still be reading the answer.
///
/// Each kind has a bound, and the oldest connection is closed for a new one, so that silent clients cannot block others.
struct ExtraConnections {
  private let most: Int
  private var unheard: [PendingConnection] = []
  private var answered: [PendingConnection] = []

  init(most: Int) {
    self.most = most
  }

  /// Adds a connection whose request has not arrived yet.
  ///
  /// - Returns: the connection that has to be closed instead.
  mutating func hear(_ connection: PendingConnection) -> PendingConnection? {
    unheard.append(connection)
    return unheard.count > most ? unheard.removeFirst() : nil
  }

  /// Adds a connection that was answered.
  ///
  /// - Returns: the connection that has to be closed instead.
  mutating func answer(_ connection: PendingConnection) -> PendingConnection? {
    forget(connection)
    answered.append(connection)
    return answered.count > most ? answered.removeFirst() : nil
  }

  /// - Returns: the connection that can best be closed to free a descriptor; nil if there is none.
  mutating func giveUpOne() -> PendingConnection? {
    if !answered.isEmpty { return answered.removeFirst() }
    return unheard.isEmpty ? nil : unheard.removeFirst()
  }

  /// The connection has ended.
  mutating func forget(_ connection: PendingConnection) {
    if let index = answered.firstIndex(where: { $0 === connection }) { answered.remove(at: index) }
    if let index = unheard.firstIndex(where: { $0 === connection }) { unheard.remove(at: index) }
  }
}
