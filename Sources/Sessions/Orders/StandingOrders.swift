import Bytes
import Synchronization
import Transport

/// The orders of a process that hold for a time. Asked at each handshake, never for each message; without any order that costs one load.
package final class StandingOrders: Sendable {
  private struct Table {
    var orders: [StandingOrder.Subject: Entry] = [:]
  }

  private struct Entry {
    var order: StandingOrder
    /// When it came into this process; seconds since 1970.
    var added: Double
  }

  /// The most orders. An order takes about half a kilobyte.
  package static let most = 10_000

  private let table = Mutex(Table())
  private let count = Atomic<Int>(0)
  private let now: @Sendable () -> Double

  /// - Parameter now: seconds since 1970.
  package init(now: @escaping @Sendable () -> Double = { WallClock.secondsSinceEpoch }) {
    self.now = now
  }

  /// Adds an order, or replaces that of the same subject.
  ///
  /// - Returns: false if there are too many.
  @discardableResult
  package func add(_ order: StandingOrder) -> Bool {
    let now = now()
    return table.withLock { table in
      if table.orders[order.subject] == nil, table.orders.count >= Self.most {
        table.orders = table.orders.filter { $0.value.order.until > now }
        guard table.orders.count < Self.most else { return false }
      }
      table.orders[order.subject] = Entry(order: order, added: now)
      count.store(table.orders.count, ordering: .relaxed)
      return true
    }
  }

  /// - Returns: whether there was one.
  @discardableResult
  package func remove(_ subject: StandingOrder.Subject) -> Bool {
    let now = now()
    return table.withLock { table in
      let entry = table.orders.removeValue(forKey: subject)
      count.store(table.orders.count, ordering: .relaxed)
      return entry.map { $0.order.until > now } ?? false
    }
  }

  /// Those of a kind that still hold, the one that ends first at the front.
  package func all(_ kind: StandingOrder.Kind) -> [StandingOrder] {
    let now = now()
    return table.withLock { $0.orders.values.map(\.order) }
      .filter { $0.subject.kind == kind && $0.until > now }
      .sorted { ($0.until, $0.subject.text) < ($1.until, $1.subject.text) }
  }

  /// Takes over what the processes of a channel layer keep together.
  ///
  /// - Parameters:
  ///   - kept: all orders of the layer.
  ///   - asked: when they were asked for; an order that came since then may be missing from them.
  /// - Returns: those that are news here.
  package func replace(by kept: [StandingOrder], asked: Double) -> [StandingOrder] {
    let now = now()
    return table.withLock { table in
      let known = table.orders
      table.orders = known.filter { $0.value.added >= asked - Self.delay }
      var news: [StandingOrder] = []
      for order in kept where order.until > now && table.orders.count < Self.most {
        if let entry = known[order.subject], entry.order == order {
          table.orders[order.subject] = entry
        } else if table.orders[order.subject] == nil {
          table.orders[order.subject] = Entry(order: order, added: now)
          news.append(order)
        }
      }
      count.store(table.orders.count, ordering: .relaxed)
      return news
    }
  }

  /// How long it may take until an order that reached this process is kept in the layer. Seconds.
  private static let delay = 10.0

  /// The order that holds for a session of this user in these groups; nil if there is none.
  ///
  /// - Parameter user: nil for an anonymous client.
  package func order(_ kind: StandingOrder.Kind, for user: String?, in groups: [String]) -> StandingOrder? {
    guard count.load(ordering: .relaxed) > 0 else { return nil }
    let now = now()
    let user = user.map { ExactText(text: $0) }
    return table.withLock { table in
      func find(_ user: ExactText?, _ group: String?) -> StandingOrder? {
        let order = table.orders[.init(kind, user: user, group: group)]?.order
        return order.flatMap { $0.until > now ? $0 : nil }
      }
      if let user, let order = find(user, nil) { return order }
      for group in groups {
        if let order = find(nil, group) ?? user.flatMap({ find($0, group) }) { return order }
      }
      return nil
    }
  }
}
