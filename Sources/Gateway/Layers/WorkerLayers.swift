import ChannelLayers
import Transport

/// A worker's ends of the channel layers. Confined to its reactor.
struct WorkerLayers {
  private let ends: [ObjectIdentifier: LayerEnd]

  /// On the reactor, once for each worker, before the layers run.
  init(_ layers: GatewayLayers, on reactor: Reactor, number: Int) {
    ends = Dictionary(
      uniqueKeysWithValues: layers.all.map { (ObjectIdentifier($0), $0.end(on: reactor, number: number)) })
  }

  /// This worker's end of the layer.
  subscript(layer: any LayerBackend) -> LayerEnd {
    guard let end = ends[ObjectIdentifier(layer)] else {
      preconditionFailure("routes refer only to layers of the gateway that serves them")
    }
    return end
  }
}
