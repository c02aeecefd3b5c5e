extension KeyValue {
  /// What may stand behind a key of a mapping that stands here; nil where that is not declared.
  func value(of key: String) -> KeyValue? {
    let found = forms.compactMap { form -> KeyValue? in
      switch form {
      case .mapping(let place): Key.named(key, at: place)?.value
      case .named(let value): value
      default: nil
      }
    }
    return found.count > 1 ? .either(found) : found.first
  }

  /// What may stand in a list that stands here; nil where that is not declared.
  var item: KeyValue? {
    let found = forms.compactMap { if case .list(let item, _) = $0 { item } else { nil } }
    return found.count > 1 ? .either(found) : found.first
  }

  /// The kinds of mapping that may stand here.
  var mappings: [KeyPlace] { forms.compactMap { if case .mapping(let place) = $0 { place } else { nil } } }

  /// Whether it is a secret, which is one value however it is written.
  var isSecret: Bool { mappings.contains(.secret) }

  /// The keys of a mapping that cannot stand beside others.
  func excluded(by keys: Set<String>) -> Set<String> {
    mappings.filter { !$0.isRoute }.reduce(into: []) { excluded, place in
      let chosen = place.alternatives.filter { !keys.isDisjoint(with: $0) }.joined()
      if !chosen.isEmpty { excluded.formUnion(Set(place.alternatives.joined()).subtracting(chosen)) }
    }
  }
}
