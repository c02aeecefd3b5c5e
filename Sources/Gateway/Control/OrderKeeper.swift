import ChannelLayers
import Sessions
import Transport

/// Brings the orders that the channel layers keep into this process: at its start, after each outage, and now and then. What is news here
/// is carried out.
final class OrderKeeper: Sendable {
  /// How often it is looked whether a layer is back, and how often the orders are read anyway.
  private static let (beat, period) = (Duration.seconds(1), 60)
  /// An order is removed from a layer this long after its end, when no clock is likely to be so far behind. Seconds.
  private static let grace = 60.0

  private let orders: StandingOrders
  private let layers: [any LayerBackend]
  private let shared: [any LayerBackend]
  private let publisher: Publisher

  init(_ gateway: GatewayState) {
    orders = gateway.process.orders
    layers = gateway.layers.all
    shared = gateway.layers.shared
    publisher = gateway.publisher
  }

  /// Runs until its task is cancelled.
  func run() async {
    guard !shared.isEmpty else { return }
    var wasAvailable = shared.allSatisfy(\.isAvailable)
    var beats = 0
    while (try? await Task.sleep(for: Self.beat)) != nil {
      let isAvailable = shared.allSatisfy(\.isAvailable)
      beats += 1
      if isAvailable, !wasAvailable || beats >= Self.period {
        await load()
        beats = 0
      }
      wasAvailable = isAvailable
    }
  }

  /// Reads all orders. If a layer cannot be asked, what is known stays.
  func load() async {
    guard !shared.isEmpty else { return }
    let asked = WallClock.secondsSinceEpoch
    var kept: [StandingOrder] = []
    for layer in shared {
      guard let found = await layer.keptOrders() else { return }
      var ended: [String] = []
      for order in found {
        let standing = StandingOrder.Subject(order.subject).flatMap { StandingOrder($0, order.content) }
        if let standing, standing.until + Self.grace > asked {
          kept.append(standing)
        } else {
          ended.append(order.subject)
        }
      }
      _ = await layer.forget(orders: ended)
    }
    for order in orders.replace(by: kept, asked: asked) {
      let order = ControlOrder(order)
      publisher.tellWorkers { [layers] worker in
        for layer in layers { _ = worker.carryOut(order, of: layer) }
      }
    }
  }
}
