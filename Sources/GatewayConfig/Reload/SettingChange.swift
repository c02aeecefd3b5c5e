/// A setting outside of the routes that differs between two files.
package struct SettingChange: Sendable, Hashable {
  /// What a running gateway needs to take the new value on.
  package enum Need: String, Sendable, Hashable {
    /// A reload does it.
    case reload
    /// It is decided when the process starts: `sluice upgrade`, or a restart.
    case upgrade
  }

  /// `server.threads`, or `channel_layers.default`.
  package var key: String
  /// The values as texts, with what holds where nothing is written; never a secret.
  package var old: String
  package var new: String
  package var need: Need
  /// Whether the rest of the file makes no sense without it, so that nothing of the file can be taken on before.
  package var isBlocking = false
}

extension SettingChange.Need {
  /// What it takes, in all that is said of it.
  package var words: String {
    switch self {
    case .reload: "reload"
    case .upgrade: "\"sluice upgrade\" or a restart"
    }
  }
}

/// One setting outside of the routes: what it is called, how it is shown, and what it takes to change it in a running gateway.
struct ExchangedSetting: Sendable {
  var key: String
  var need: SettingChange.Need
  private var compare: @Sendable (Configuration, Configuration) -> (old: String, new: String)?

  /// - Parameters:
  ///   - hidden: what is another one where the texts are the same.
  ///   - text: of a value.
  init<Value: Equatable & SendableMetatype>(
    _ key: String, _ need: SettingChange.Need = .reload, hidden: String = "other options",
    _ value: @escaping @Sendable (Configuration) -> Value,
    _ text: @escaping @Sendable (Value) -> String
  ) {
    self.key = key
    self.need = need
    compare = { old, new in
      let (old, new) = (value(old), value(new))
      return old == new ? nil : (text(old), text(new).othersThan(text(old), with: hidden))
    }
  }

  func change(from old: Configuration, to new: Configuration) -> SettingChange? {
    compare(old, new).map { SettingChange(key: key, old: $0.old, new: $0.new, need: need) }
  }
}

extension Configuration {
  /// The settings outside of the routes that are others in a second file, in the order of the reference. What routes inherit from the
  /// mappings around them is a part of the routes.
  package func settingChanges(to new: Configuration) -> [SettingChange] {
    ExchangedSetting.all.compactMap { $0.change(from: self, to: new) } + authChanges(to: new)
      + layerChanges(to: new)
  }

  private func authChanges(to new: Configuration) -> [SettingChange] {
    let names = (authenticators.map(\.name) + new.authenticators.map(\.name)).unique
    return names.compactMap { name in
      let old = authenticators.first { $0.name == name }
      let new = new.authenticators.first { $0.name == name }
      guard old?.kind != new?.kind else { return nil }
      return SettingChange(
        key: "auth.\(name)", old: old?.kind.text ?? "none",
        new: new?.kind.text(after: old?.kind) ?? "none", need: .reload)
    }
  }

  private func layerChanges(to other: Configuration) -> [SettingChange] {
    let aliases = (channelLayers.map(\.alias) + other.channelLayers.map(\.alias)).unique
    return aliases.compactMap { alias in
      let old = channelLayers.first { $0.alias == alias }
      let new = other.channelLayers.first { $0.alias == alias }
      guard old != new else { return nil }
      let change = old.flatMap { new?.change(from: $0) } ?? .other
      // One that was not in use is made anew.
      let goesOn = new.flatMap { layer(inUseHere: $0, in: other) } != nil
      return SettingChange(
        key: "channel_layers.\(alias)", old: old?.text ?? "none",
        new: (new?.text ?? "none").othersThan(old?.text, with: change.rawValue),
        need: change == .options && goesOn ? .upgrade : .reload)
    }
  }
}

extension String {
  /// The text, or what tells it from an equal one: what differs is a secret, or an option that the text does not show.
  fileprivate func othersThan(_ old: String?, with hidden: String = "other options") -> String {
    self == old ? "\(self), with \(hidden)" : self
  }
}

extension AuthenticatorConfiguration.Kind {
  fileprivate var text: String {
    switch self {
    case .jwt: "jwt"
    case .callback(let callback): "callback of \(callback.question.shownURL)"
    }
  }

  /// What it is, and what tells it from the one before. A session does not know which key its token was verified with: see `AuthChange`.
  fileprivate func text(after old: Self?) -> String {
    guard case .jwt(let known)? = old, case .jwt(let jwt) = self, known.keys.verifies != jwt.keys.verifies
    else { return text.othersThan(old?.text) }
    let end = jwt.expiry == .keep ? "" : " until their tokens end"
    return "\(text), with another key; clients that are connected stay\(end)"
  }
}

extension ChannelLayerConfiguration {
  fileprivate var text: String {
    switch backend {
    case .memory: name.rawValue
    case .redis(let redis):
      "\(name.rawValue) at \(redis.hosts.map(\.description).joined(separator: ", ")), prefix \(redis.prefix)"
    }
  }
}
