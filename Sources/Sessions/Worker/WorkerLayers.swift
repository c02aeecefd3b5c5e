package import ChannelLayers
import Transport

/// Keeps a channel layer at work. It is let go of once no route refers to it any more, however old the route is.
package final class LayerLease: Sendable {
  package let layer: any LayerBackend
  private let released: @Sendable (any LayerBackend) -> Void

  /// - Parameter released: called once, on any thread.
  package init(
    _ layer: any LayerBackend, _ released: @escaping @Sendable (any LayerBackend) -> Void = { _ in }
  ) {
    self.layer = layer
    self.released = released
  }

  deinit { released(layer) }
}

/// The channel layers that the served routes use, for the whole process.
package struct ServedLayers: Sendable {
  package let leases: [LayerLease]

  package init(leases: [LayerLease]) {
    self.leases = leases
  }

  package init(_ all: [any LayerBackend]) {
    leases = all.map { LayerLease($0) }
  }

  package var all: [any LayerBackend] { leases.map(\.layer) }

  /// - Returns: nil if no route that is served uses the layer.
  package func lease(_ alias: String) -> LayerLease? { leases.first { $0.layer.alias == alias } }

  package subscript(alias: String) -> (any LayerBackend)? { lease(alias)?.layer }

  /// The aliases of the layers that are not available.
  var unavailable: [String] { leases.filter { !$0.layer.isAvailable }.map(\.layer.alias) }
}

/// A worker's ends of the channel layers. Confined to its reactor.
package struct WorkerLayers {
  /// There are few layers, and a message looks for one: comparing references takes less than a hash.
  private var ends: [(layer: any LayerBackend, end: LayerEnd, mailboxes: Reactor.Mailboxes)] = []
  private let reactor: Reactor
  private let number: Int

  /// On the reactor, once for each worker, before the layers run.
  init(_ layers: ServedLayers, on reactor: Reactor, number: Int) {
    self.reactor = reactor
    self.number = number
    for layer in layers.all { add(layer) }
  }

  /// Makes the worker's end of one more layer, before that runs and before a route refers to it.
  mutating func add(_ layer: any LayerBackend) {
    guard !ends.contains(where: { $0.layer === layer }) else { return }
    let (end, mailboxes) = reactor.mailboxes { layer.end(on: reactor, number: number) }
    ends.append((layer, end, mailboxes))
  }

  /// No route refers to the layer any more, and it posts nothing more.
  mutating func remove(_ layer: any LayerBackend) {
    for known in ends where known.layer === layer { reactor.close(known.mailboxes) }
    ends.removeAll { $0.layer === layer }
  }

  /// This worker's end of the layer.
  package subscript(layer: any LayerBackend) -> LayerEnd {
    for known in ends where known.layer === layer { return known.end }
    preconditionFailure("routes refer only to layers of the gateway that serves them")
  }
}
