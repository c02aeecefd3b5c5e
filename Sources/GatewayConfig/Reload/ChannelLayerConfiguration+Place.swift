// What of a channel layer can change under the sessions in its groups.

extension ChannelLayerConfiguration {
  /// Whether the two keep the same groups, so that whoever is in those of one goes on in those of the other: they are laid out in the same
  /// way, in the same databases of the same servers. Passwords, TLS and times may differ, as may what is kept there and for how long.
  package func isSamePlace(as other: ChannelLayerConfiguration) -> Bool {
    alias == other.alias && place == other.place
  }

  /// Where the groups are. Other versions of the program compare it, too.
  package var place: String {
    switch backend {
    case .memory: "memory"
    case .redis(let redis):
      "redis \(redis.layout) \(redis.prefix) \(redis.hosts.map(\.keptAt).joined(separator: " "))"
    }
  }

  /// What differs between two layers of one name. The texts tell them apart where everything else that is shown is the same.
  enum Change: String {
    /// Other groups, or none of those of before: the layer is another one.
    case other = "another database"
    /// What the layer was made with, and keeps while it is there.
    case options = "other options"
    /// How new connections reach the servers.
    case access = "another password, TLS or time for new connections"
  }

  func change(from old: ChannelLayerConfiguration) -> Change {
    guard isSamePlace(as: old) else { return .other }
    return keepingOptions(of: old) == self ? .access : .options
  }

  /// The options of another one, with the servers reached as this one says: what a reload makes of a layer that stays.
  func keepingOptions(of other: ChannelLayerConfiguration) -> ChannelLayerConfiguration {
    guard case .redis(let new) = backend, case .redis(var kept) = other.backend else { return self }
    kept.hosts = new.hosts
    var layer = self
    layer.backend = .redis(kept)
    return layer
  }
}

extension RedisHost {
  /// The database, without anything that only says how it is reached.
  fileprivate var keptAt: String {
    switch place {
    // Compared by its name.
    case .tcp(let host, _) where isStandIn: return "\(host)/\(database)"
    case .tcp, .unix:
      var plain = self
      plain.tls = nil
      return plain.description
    case .sentinel(let master, let sentinels):
      let addresses = sentinels.addresses.map(\.description).joined(separator: ",")
      return "master \(master) of \(addresses), database \(database)"
    }
  }
}
