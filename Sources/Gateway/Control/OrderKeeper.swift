import ChannelLayers
import Logging
import Sessions
import Synchronization
import Transport

/// Brings the orders that the channel layers keep into this process: at its start, before a reload serves another layer, after each outage,
/// and now and then. What is news here is carried out.
final class OrderKeeper: Sendable {
  /// How often it is looked whether a layer is back, and how often the orders are read anyway.
  private static let (beat, period) = (Duration.seconds(1), 60)
  /// After so many beats it is tried again to have orders kept that no layer has taken.
  private static let retry = 5
  /// An order is removed from a layer this long after its end, when no clock is likely to be so far behind. Seconds.
  private static let grace = 60.0

  private let orders: StandingOrders
  private let gatewayLayers: GatewayLayers
  private let publisher: Publisher
  private let log: Logger
  /// Whether the last load had more orders than there is room for.
  private let isFull = Mutex(false)
  /// The layers that were available at the last beat, and whose orders have been read since the workers joined their control groups.
  private let known = Mutex<[any LayerBackend]>([])

  init(_ gateway: GatewayState) {
    orders = gateway.process.orders
    gatewayLayers = gateway.layers
    publisher = gateway.publisher
    log = gateway.process.log
  }

  /// A reload may bring others.
  private var all: [any LayerBackend] { gatewayLayers.all }
  private var shared: [any LayerBackend] { gatewayLayers.shared }

  /// Runs until its task is cancelled.
  func run() async {
    var beats = 0
    while (try? await Task.sleep(for: Self.beat)) != nil {
      let layers = shared
      let isOneBack = isOneBack(among: layers)
      guard !layers.isEmpty else { continue }
      beats += 1
      if isOneBack || beats >= Self.period {
        await load()
        beats = 0
      } else if beats.isMultiple(of: Self.retry) {
        // An outage may be shorter than a beat, or take single commands only.
        // What was lifted has to be compared with what is there.
        if orders.unforgotten.isEmpty { await writeUnkept(on: layers) } else { await load() }
      }
    }
  }

  /// Whether a layer is available that was not at the last beat, also one that a reload has brought meanwhile.
  private func isOneBack(among layers: [any LayerBackend]) -> Bool {
    let available = layers.filter(\.isAvailable)
    return known.withLock { known in
      defer { known = available }
      return available.contains { layer in !known.contains { $0 === layer } }
    }
  }

  /// Brings those of all layers.
  func load() async { await load(shared, areAll: true) }

  /// Brings those of layers that a reload adds, before it serves them. Where a layer is slow it goes on by itself when the time is over.
  func load(of added: [any LayerBackend], within time: Duration) async {
    let layers = added.filter(\.isShared)
    guard !layers.isEmpty else { return }
    let (ends, end) = AsyncStream<Void>.makeStream()
    // It ends by itself: no layer takes longer for an answer than its patience is.
    Task {
      await load(layers, areAll: false)
      end.finish()
    }
    _ = await within(time) { for await _ in ends {} }
  }

  /// The workers are in the control groups of these layers from now on. Which orders were given before, without being told to them, is
  /// found out at the next beat.
  func joined(_ layers: [any LayerBackend]) {
    known.withLock { known in known.removeAll { layer in layers.contains { $0 === layer } } }
  }

  /// Writes the orders that no layer keeps yet, has the layers forget those that were lifted meanwhile, and reads what they keep. What a
  /// layer keeps that cannot be asked stays.
  ///
  /// - Parameter areAll: whether an order that none of them keeps is kept nowhere.
  private func load(_ layers: [any LayerBackend], areAll: Bool) async {
    guard !layers.isEmpty else { return }
    await writeUnkept(on: layers)
    let asked = WallClock.secondsSinceEpoch
    let lifted = orders.unforgotten
    var kept: [StandingOrder] = []
    var isWhole = areAll
    var areForgotten = true
    for layer in layers {
      guard let found = await layer.keptOrders() else {
        isWhole = false
        continue
      }
      var (ended, unreadable): ([String], [String]) = ([], [])
      for order in found {
        let standing = StandingOrder.Subject(order.subject).flatMap { StandingOrder($0, order.content) }
        guard let standing else {
          unreadable.append(order.subject)
          continue
        }
        if orders.isLifted(standing) {
          areForgotten = await forget(standing.subject, on: layer) && areForgotten
        } else if standing.until + Self.grace > asked {
          kept.append(standing)
        } else {
          ended.append(order.subject)
        }
      }
      tell(unreadable: unreadable)
      areForgotten = await layer.forget(orders: ended + unreadable) && areForgotten
    }
    if isWhole, areForgotten { orders.forgotten(lifted) }
    let news = orders.replace(by: kept, asked: asked, isWhole: isWhole) { tell(passedOver: $0) }
    for order in news {
      let order = ControlOrder(order)
      publisher.tellWorkers { [all] worker in
        for layer in all { worker.carryOut(order, of: layer) }
      }
    }
  }

  private func tell(unreadable subjects: [String]) {
    guard let first = subjects.first else { return }
    log.warning(
      "orders in the channel layer cannot be read, and are removed from it",
      metadata: ["count": "\(subjects.count)", "first": "\(first)"])
  }

  /// Once, until there is room again.
  private func tell(passedOver count: Int) {
    let wasFull = isFull.withLock { isFull in
      defer { isFull = count > 0 }
      return isFull
    }
    guard count > 0, !wasFull else { return }
    log.warning(
      "orders in the channel layer do not hold here: there are too many that hold for a time",
      metadata: ["count": "\(count)", "most": .number(StandingOrders.most)])
  }

  /// Orders that were given while the layers were away, or that a layer did not take.
  private func writeUnkept(on layers: [any LayerBackend]) async {
    let unkept = orders.unkept
    guard !unkept.isEmpty else { return }
    for layer in layers where layer.isAvailable {
      for order in unkept {
        // What one order is refused for, the others are, too.
        guard await layer.keep(order) else { break }
        if orders.keeps(order) {
          publisher.tell(ControlOrder(order).event, on: layer)
        } else {
          _ = await layer.forget(orders: [order.subject.text])
        }
      }
    }
  }

  /// Has a layer forget what was lifted while it was away. One after the other, so that other processes do not hear of very many at once.
  ///
  /// - Returns: false if it could not.
  private func forget(_ lifted: StandingOrder.Subject, on layer: any LayerBackend) async -> Bool {
    guard await layer.forget(orders: [lifted.text]) else { return false }
    publisher.tell(ControlOrder(lifting: lifted).event, on: layer)
    return true
  }
}
