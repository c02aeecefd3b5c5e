/// The connections of a worker that no limit counts: those that came when all places were taken, of which only a health check is answered,
/// and those that have their answer and may still be reading it.
///
/// Each kind has a bound, and the oldest gives way: nobody can keep the others from being heard by being silent.
struct ExtraConnections {
  private let most: Int
  private var unheard: [PendingConnection] = []
  private var answered: [PendingConnection] = []

  init(most: Int) {
    self.most = most
  }

  /// Adds one that has not said yet what it wants.
  ///
  /// - Returns: the one that has to go instead.
  mutating func hear(_ connection: PendingConnection) -> PendingConnection? {
    unheard.append(connection)
    return unheard.count > most ? unheard.removeFirst() : nil
  }

  /// Adds one that has its answer.
  ///
  /// - Returns: the one that is waited for no longer.
  mutating func answer(_ connection: PendingConnection) -> PendingConnection? {
    forget(connection)
    answered.append(connection)
    return answered.count > most ? answered.removeFirst() : nil
  }

  /// - Returns: the one that misses its descriptor least; nil where there is none.
  mutating func giveUpOne() -> PendingConnection? {
    if !answered.isEmpty { return answered.removeFirst() }
    return unheard.isEmpty ? nil : unheard.removeFirst()
  }

  /// The connection is over.
  mutating func forget(_ connection: PendingConnection) {
    if let index = answered.firstIndex(where: { $0 === connection }) { answered.remove(at: index) }
    if let index = unheard.firstIndex(where: { $0 === connection }) { unheard.remove(at: index) }
  }
}
