package import ChannelLayers
import Transport

/// The channel layers that the served routes use, for the whole process.
package struct ServedLayers: Sendable {
  package let all: [any LayerBackend]

  package init(_ all: [any LayerBackend]) {
    self.all = all
  }

  /// - Returns: nil if no route that is served uses the layer.
  package subscript(alias: String) -> (any LayerBackend)? {
    all.first { $0.alias == alias }
  }

  /// The aliases of the layers that are not available.
  var unavailable: [String] { all.filter { !$0.isAvailable }.map(\.alias) }
}

/// A worker's ends of the channel layers. Confined to its reactor.
package struct WorkerLayers {
  /// There are few layers, and a message looks for one: comparing references takes less than a hash.
  private let ends: [(layer: any LayerBackend, end: LayerEnd)]

  /// On the reactor, once for each worker, before the layers run.
  init(_ layers: ServedLayers, on reactor: Reactor, number: Int) {
    ends = layers.all.map { ($0, $0.end(on: reactor, number: number)) }
  }

  /// This worker's end of the layer.
  package subscript(layer: any LayerBackend) -> LayerEnd {
    for known in ends where known.layer === layer { return known.end }
    preconditionFailure("routes refer only to layers of the gateway that serves them")
  }
}
