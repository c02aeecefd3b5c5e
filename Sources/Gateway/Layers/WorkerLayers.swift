import ChannelLayers
import Transport

/// A worker's ends of the channel layers. Confined to its reactor.
struct WorkerLayers {
  /// There are few layers, and a message looks for one: comparing references takes less than a hash.
  private let ends: [(layer: any LayerBackend, end: LayerEnd)]

  /// On the reactor, once for each worker, before the layers run.
  init(_ layers: GatewayLayers, on reactor: Reactor, number: Int) {
    ends = layers.all.map { ($0, $0.end(on: reactor, number: number)) }
  }

  /// This worker's end of the layer.
  subscript(layer: any LayerBackend) -> LayerEnd {
    for known in ends where known.layer === layer { return known.end }
    preconditionFailure("routes refer only to layers of the gateway that serves them")
  }
}
