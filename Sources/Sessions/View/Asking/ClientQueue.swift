/// The questions that clients wait for. Those of clients that want to come in, and those of clients that are in, take turns: a client comes
/// in after as many turns as others came before it, however much those inside have to say. A pure value.
struct ClientQueue<ID: Hashable & Sendable>: Sendable {
  private var coming = FairQueue<ID>()
  private var inside = FairQueue<ID>()
  private var isTurnOfComing = true

  var count: Int { coming.count + inside.count }
  var isEmpty: Bool { coming.isEmpty && inside.isEmpty }

  mutating func append(_ id: ID, of asker: String, isComing: Bool) {
    if isComing { coming.append(id, of: asker) } else { inside.append(id, of: asker) }
  }

  mutating func popFirst() -> ID? {
    let takesComing = inside.isEmpty || isTurnOfComing && !coming.isEmpty
    isTurnOfComing = !takesComing
    return takesComing ? coming.popFirst() : inside.popFirst()
  }

  /// - Returns: whether it was waiting.
  @discardableResult
  mutating func remove(_ id: ID) -> Bool { coming.remove(id) || inside.remove(id) }
}
