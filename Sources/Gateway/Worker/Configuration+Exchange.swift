import ChannelLayers
import GatewayConfig

extension Configuration {
  /// What a gateway that was started with this configuration lacks for serving the application of another one; nil if nothing. Its
  /// layers, the histories and the presence in them, and its service for TLS were made at its start.
  func missing(for other: Configuration) -> String? {
    let (old, new) = (served, other.served)
    if let layer = new.channelLayers.subtracting(old.channelLayers).min() {
      return "no route has used the channel layer \"\(layer)\" so far"
    }
    if let layer = new.channelLayers.sorted().first(where: {
      new.uses(ofLayer: $0).presence && !old.uses(ofLayer: $0).presence
    }) {
      return "no route has had presence on the channel layer \"\(layer)\" so far"
    }
    if let layer = new.channelLayers.sorted().first(where: {
      new.uses(ofLayer: $0).records && !old.uses(ofLayer: $0).records
    }) {
      return "no view was told the ends of sessions on the channel layer \"\(layer)\" so far"
    }
    let kept = old.groups.filter { $0.history != nil }
    if let group = new.groups.first(where: { group in
      group.history != nil
        && !kept.contains {
          $0.layer == group.layer && $0.history == group.history
            && $0.templates.first == group.templates.first
        }
    }) {
      return "no route has kept this history of the group \"\(group.text)\" so far"
    }
    if other.served.hasSecureUpstreams, !served.hasSecureUpstreams {
      return "no route has had an upstream over TLS so far"
    }
    if new.knowsUsers, !old.knowsUsers { return "no route has authenticated its clients so far" }
    return nil
  }
}
