import Bytes
import Synchronization
import Transport

/// The orders of a process that hold for a time. Asked at each handshake, never for each message; without any order that costs one load.
package final class StandingOrders: Sendable {
  private struct Table {
    var orders: [StandingOrder.Subject: Entry] = [:]
    /// What was lifted here, and a layer may still keep.
    var lifted: [StandingOrder.Subject: Lift] = [:]

    mutating func remember(_ lift: Lift) {
      // Of so many none can be told from the others: the layer has the last word about all.
      if lifted.count >= StandingOrders.most { lifted = [:] }
      lifted[lift.subject] = lift
    }

    func isLifted(_ order: StandingOrder) -> Bool { lifted[order.subject]?.ends(order) ?? false }
  }

  /// That an order was lifted.
  package struct Lift: Sendable {
    package var subject: StandingOrder.Subject
    /// The order that it was, if that is known here.
    package var order: StandingOrder?
    /// Seconds since 1970.
    package var time: Double

    package init(_ subject: StandingOrder.Subject, _ order: StandingOrder?, at time: Double) {
      (self.subject, self.order, self.time) = (subject, order, time)
    }

    /// A newer order about the same, which another process has given, is another one.
    fileprivate func ends(_ other: StandingOrder) -> Bool {
      if order == other { return true }
      guard let given = other.given else { return order == nil }
      return given <= time
    }
  }

  private struct Entry {
    var order: StandingOrder
    /// When it came into this process; seconds since 1970.
    var added: Double
    /// Whether a channel layer has been seen to keep it. What no layer keeps is not lifted because a layer does not know it.
    var isKept: Bool

    /// Whether it stays whatever a layer says that was asked at this time.
    func isFirm(at asked: Double) -> Bool { !isKept || added >= asked - StandingOrders.delay }
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
  /// - Parameter isKept: whether a channel layer keeps it.
  /// - Returns: false if there are too many.
  @discardableResult
  package func add(_ order: StandingOrder, isKept: Bool = false) -> Bool {
    let now = now()
    return table.withLock { table in
      if table.orders[order.subject] == nil, table.orders.count >= Self.most {
        table.orders = table.orders.filter { $0.value.order.until > now }
        guard table.orders.count < Self.most else { return false }
      }
      let known = table.orders[order.subject]
      let isKept = isKept || known?.order == order && known?.isKept == true
      var order = order
      order.given = order.given ?? (known?.order == order ? known?.order.given : nil) ?? now
      table.orders[order.subject] = Entry(order: order, added: now, isKept: isKept)
      table.lifted[order.subject] = nil
      count.store(table.orders.count, ordering: .relaxed)
      return true
    }
  }

  /// Lifts an order. It is not taken over again from a layer that does not know that yet.
  ///
  /// - Parameters:
  ///   - isForgotten: whether the layers have forgotten it.
  ///   - isKnown: whether it is lifted only if it holds here, because somebody else sees to it that the layers forget it.
  /// - Returns: whether there was one.
  @discardableResult
  package func remove(_ subject: StandingOrder.Subject, isForgotten: Bool = false, isKnown: Bool = false)
    -> Bool
  {
    let now = now()
    return table.withLock { table in
      let entry = table.orders.removeValue(forKey: subject)
      count.store(table.orders.count, ordering: .relaxed)
      if isForgotten {
        table.lifted[subject] = nil
      } else if entry != nil || !isKnown {
        // Each worker lifts it: the first one has known the order.
        table.remember(Lift(subject, entry?.order ?? table.lifted[subject]?.order, at: now))
      }
      return entry.map { $0.order.until > now } ?? false
    }
  }

  /// What was lifted here, and a layer may still keep.
  ///
  /// A layer that has not answered for a day has the last word.
  package var unforgotten: [StandingOrder.Subject] {
    let now = now()
    return table.withLock { table in
      if !table.lifted.isEmpty { table.lifted = table.lifted.filter { $0.value.time > now - 86_400 } }
      return Array(table.lifted.keys)
    }
  }

  /// The same with all that is known of it, for the process that takes this one's place.
  package var lifts: [Lift] { table.withLock { Array($0.lifted.values) } }

  /// Remembers what another process has lifted.
  package func resume(_ lifts: [Lift]) {
    table.withLock { table in
      for lift in lifts where table.orders[lift.subject] == nil { table.remember(lift) }
    }
  }

  /// Whether an order that a layer keeps has been lifted here.
  package func isLifted(_ order: StandingOrder) -> Bool { table.withLock { $0.isLifted(order) } }

  /// No layer keeps what was lifted about these any more.
  package func forgotten(_ subjects: [StandingOrder.Subject]) {
    table.withLock { table in
      for subject in subjects { table.lifted[subject] = nil }
    }
  }

  /// Those of a kind that still hold, the one that ends first at the front.
  package func all(_ kind: StandingOrder.Kind) -> [StandingOrder] {
    let now = now()
    return table.withLock { $0.orders.values.map(\.order) }
      .filter { $0.subject.kind == kind && $0.until > now }
      .sorted { ($0.until, $0.subject.text) < ($1.until, $1.subject.text) }
  }

  /// Those that hold, and that no layer has been seen to keep.
  package var unkept: [StandingOrder] {
    guard count.load(ordering: .relaxed) > 0 else { return [] }
    let now = now()
    return table.withLock { $0.orders.values.filter { !$0.isKept && $0.order.until > now }.map(\.order) }
  }

  /// A layer keeps an order now.
  ///
  /// - Returns: false if the order was lifted meanwhile, so that the layer has to forget it again.
  package func keeps(_ order: StandingOrder) -> Bool {
    table.withLock { table in
      guard let known = table.orders[order.subject] else { return false }
      // Another order about the same has come meanwhile, which may have reached the layer first: it is written again.
      table.orders[order.subject]?.isKept = known.order == order
      return true
    }
  }

  /// Takes over what the processes of a channel layer keep together. What no layer has been seen to keep stays.
  ///
  /// - Parameters:
  ///   - kept: all orders of the layers that have answered.
  ///   - asked: when they were asked for; an order that came since then may be missing from them.
  ///   - isWhole: whether all layers have answered, so that what is missing has been lifted.
  ///   - passedOver: told how many there was no room for; also if there are none.
  /// - Returns: those that are news here.
  package func replace(
    by kept: [StandingOrder], asked: Double, isWhole: Bool = true, passedOver: (Int) -> Void = { _ in }
  ) -> [StandingOrder] {
    let now = now()
    var tooMany = 0
    defer { passedOver(tooMany) }
    return table.withLock { table in
      let known = table.orders
      table.orders = known.filter { _, entry in
        entry.order.until > now && (!isWhole || entry.isFirm(at: asked))
      }
      var news: [StandingOrder] = []
      var seen: Set<StandingOrder.Subject> = []
      for order in kept
      where order.until > now && !table.isLifted(order) && seen.insert(order.subject).inserted {
        let entry = known[order.subject]
        if var entry, entry.order == order {
          entry.isKept = true
          table.orders[order.subject] = entry
        } else if entry?.isFirm(at: asked) == true {
          continue
        } else if table.orders[order.subject] == nil, table.orders.count >= Self.most {
          tooMany += 1
        } else {
          table.orders[order.subject] = Entry(order: order, added: now, isKept: true)
          news.append(order)
        }
      }
      count.store(table.orders.count, ordering: .relaxed)
      return news
    }
  }

  /// How long it may take until an order that reached this process is kept in the layer. Seconds.
  fileprivate static let delay = 10.0

  /// The order that holds for a session of this user in these groups; nil if there is none. Of several, the one that ends last.
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
      var last = user.flatMap { find($0, nil) }
      for group in groups {
        for order in [find(nil, group), user.flatMap { find($0, group) }] {
          if let order, order.until > last?.until ?? 0 { last = order }
        }
      }
      return last
    }
  }
}
