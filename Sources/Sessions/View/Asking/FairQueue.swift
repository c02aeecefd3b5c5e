import DequeModule

/// Those who wait, in an order in which each asker has its turn: whoever waits with many waits behind others with its second one. A pure
/// value.
struct FairQueue<ID: Hashable & Sendable>: Sendable {
  /// Those of one asker, in their order.
  private struct Line: Sendable {
    /// With some that do not wait any more.
    var all = Deque<ID>()
    var waiting = 0
  }

  private var lines: [String: Line] = [:]
  /// Each asker with somebody waiting, once, and some with nobody.
  private var turns = Deque<String>()
  private var hasTurn: Set<String> = []
  private var askers: [ID: String] = [:]

  /// Those that do not wait any more are searched for when there are more of them than others and these, so that leaving costs the same
  /// however many wait.
  private static var slack: Int { 64 }

  var count: Int { askers.count }
  var isEmpty: Bool { askers.isEmpty }

  mutating func append(_ id: ID, of asker: String) {
    askers[id] = asker
    lines[asker, default: Line()].all.append(id)
    lines[asker]?.waiting += 1
    if hasTurn.insert(asker).inserted { turns.append(asker) }
  }

  mutating func popFirst() -> ID? {
    while let asker = turns.popFirst() {
      hasTurn.remove(asker)
      guard let next = next(of: asker) else { continue }
      if lines[asker] != nil {
        hasTurn.insert(asker)
        turns.append(asker)
      }
      return next
    }
    return nil
  }

  private mutating func next(of asker: String) -> ID? {
    while let id = lines[asker]?.all.popFirst() {
      guard askers.removeValue(forKey: id) != nil else { continue }
      left(asker)
      return id
    }
    return nil
  }

  /// - Returns: whether it was waiting.
  @discardableResult
  mutating func remove(_ id: ID) -> Bool {
    guard let asker = askers.removeValue(forKey: id) else { return false }
    left(asker)
    if let line = lines[asker], line.all.count > 2 * line.waiting + Self.slack {
      lines[asker]?.all.removeAll { askers[$0] == nil }
    }
    if turns.count > 2 * lines.count + Self.slack {
      turns.removeAll { lines[$0] == nil }
      hasTurn = Set(turns)
    }
    return true
  }

  /// One of the asker's waits no more.
  private mutating func left(_ asker: String) {
    lines[asker]?.waiting -= 1
    if lines[asker]?.waiting == 0 { lines[asker] = nil }
  }
}
