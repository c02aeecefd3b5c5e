import Synchronization

/// The descriptors that the connections of clients may have together. Most connections need one, and one with TLS two more while the
/// HTTP service serves it through a pair of sockets: they are counted once it does, so that none are kept back for what nobody asks for.
final class DescriptorRoom: Sendable {
  /// Descriptors of a pair of sockets.
  static let pair = 2

  /// How many connections there is room for without any pair of sockets.
  private let connections: Atomic<Int>
  /// Descriptors of a connection, with that to its upstream.
  private let each: Atomic<Int>
  /// For so many pairs of sockets there is room beside all connections.
  private let keptPairs: Atomic<Int>
  private let pairs = Atomic(0)

  init(connections: Int, each: Int, keptPairs: Int) {
    self.connections = Atomic(connections)
    self.each = Atomic(each)
    self.keptPairs = Atomic(keptPairs)
  }

  convenience init(_ shares: DescriptorShares) {
    self.init(connections: shares.connections, each: shares.each, keptPairs: shares.pairs)
  }

  /// The descriptors are divided anew.
  func divide(_ shares: DescriptorShares) {
    connections.store(shares.connections, ordering: .relaxed)
    each.store(shares.each, ordering: .relaxed)
    keptPairs.store(shares.pairs, ordering: .relaxed)
  }

  /// Nothing is short.
  static var unbounded: DescriptorRoom { DescriptorRoom(connections: .max, each: 1, keptPairs: 0) }

  /// How many connections there is room for beside the pairs of sockets of this moment.
  var forConnections: Int { connections(beside: pairs.load(ordering: .relaxed)) }

  private func connections(beside pairs: Int) -> Int {
    let taken = max(0, pairs - keptPairs.load(ordering: .relaxed)) * Self.pair
    let each = each.load(ordering: .relaxed)
    return connections.load(ordering: .relaxed) - (taken + each - 1) / each
  }

  /// Takes what a pair of sockets needs, until `pairEnded`.
  ///
  /// - Parameter open: the connections of clients at this moment.
  /// - Returns: false where there is no room for one more.
  func beginPair(beside open: Int) -> Bool {
    let count = pairs.add(1, ordering: .relaxed).newValue
    if count <= keptPairs.load(ordering: .relaxed) || open <= connections(beside: count) { return true }
    pairEnded()
    return false
  }

  func pairEnded() {
    pairs.subtract(1, ordering: .relaxed)
  }
}
