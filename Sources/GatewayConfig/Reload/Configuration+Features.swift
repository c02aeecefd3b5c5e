package import Routing

extension Configuration {
  /// What the routes of a second file need of channel layers that stay, and that these do not have. A gateway cannot serve the second file
  /// without it.
  ///
  /// - Parameter made: what the layers of a running gateway were made for, by their aliases: a reload may have changed the routes since. Nil
  ///   for what a gateway that starts with this file makes them for.
  package func layerFeatures(
    neededBy other: Configuration, of made: [String: LayerFeatures]? = nil
  ) -> [SettingChange] {
    let (old, new) = (served.channelLayers, other.served.channelLayers)
    let kept = other.channelLayers.filter { layer in
      old.contains(layer.alias) && new.contains(layer.alias)
        && channelLayers.contains(where: layer.isSamePlace)
    }
    return kept.flatMap { layer in
      let known = made?[layer.alias] ?? LayerFeatures(layer, for: served)
      return known.missing(from: LayerFeatures(layer, for: other.served))
    }
  }

  /// A configuration for the running gateway: this one, and what only a new process could have otherwise as it is in the old one.
  package func keepingWhatNeedsUpgrade(of old: Configuration) -> Configuration {
    var kept = self
    kept.server.threads = old.server.threads
    kept.server.admin = old.server.admin
    kept.server.sendMemory = old.server.sendMemory
    kept.server.receiveMemory = old.server.receiveMemory
    kept.server.bodyMemory = old.server.bodyMemory
    kept.server.historyMemory = old.server.historyMemory
    kept.server.compressionMemory = old.server.compressionMemory
    kept.server.reusesPort = old.server.reusesPort
    kept.logging.format = old.logging.format
    kept.channelLayers = channelLayers.map { layer in
      old.layer(inUseHere: layer, in: self).map(layer.keepingOptions) ?? layer
    }
    for setting in settingChanges(to: kept) where setting.need == .upgrade {
      // New connections of a layer that stays go by the new file.
      let rest = setting.key.hasPrefix("channel_layers.") ? "config.hosts" : nil
      kept.written = old.written.flatMap { kept.written?.keeping(setting.key, besides: rest, of: $0) }
    }
    return kept
  }

  /// The layer that goes on where a second file has this one: both use it, for the same groups.
  func layer(inUseHere layer: ChannelLayerConfiguration, in new: Configuration) -> ChannelLayerConfiguration?
  {
    guard served.channelLayers.contains(layer.alias), new.served.channelLayers.contains(layer.alias) else {
      return nil
    }
    return channelLayers.first(where: layer.isSamePlace)
  }
}

/// A history that a route has its layer keep.
package struct KeptHistory: Sendable, Hashable {
  package var pattern: GroupPattern
  package var limits: HistoryConfiguration

  var text: String { "\(pattern.text): \(limits.messages) messages, \(limits.age.written)" }
}

extension ApplicationConfiguration {
  /// The histories of a layer's groups, in the order of the routes.
  package func histories(on alias: String) -> [KeptHistory] {
    groups.filter { $0.layer == alias }.compactMap { group in
      guard let history = group.history, let first = group.templates.first else { return nil }
      return KeptHistory(pattern: first, limits: history)
    }
  }

  /// Whether a layer keeps records of sessions whose views are told their ends.
  package func keepsRecords(on alias: String) -> Bool {
    webSocketRoutes.contains { route in
      route.consumer.group?.layer == alias && route.consumer.view?.on.contains(.disconnect) == true
    }
  }
}
