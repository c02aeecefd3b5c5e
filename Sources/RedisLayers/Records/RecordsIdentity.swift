/// The name of a process in the records of a layer. A process that goes on for another one gets it, and so its records.
struct RecordsIdentity: Sendable, Hashable {
  let id: String
  /// Counts the lots that were lost: a name of a lot is never used again.
  var generation = 0

  init(id: String = RedisIdentity.newID(), generation: Int = 0) {
    self.id = id
    self.generation = generation
  }

  /// The lot with the process's records of this kind.
  func lot(of kind: String) -> String { "\(id)-\(generation)-\(kind)" }
}
