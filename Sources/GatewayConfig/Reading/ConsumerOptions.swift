/// The options of a consumer, by their keys. Those of a route override those of a preset.
struct ConsumerOptions {
  private var entries: [String: Node.Entry] = [:]

  init(_ mapping: MappingCursor) {
    for key in Key.options(at: .preset) { entries[key.name] = mapping.entry(key.name) }
  }

  subscript(key: String) -> Node.Entry? { entries[key] }

  /// Adds an option that stands under another key.
  mutating func add(_ key: String, _ value: Node, writtenIn entry: Node.Entry) {
    guard entries[key] == nil else { return }
    entries[key] = Node.Entry(key: Located(key, at: entry.key.range), value: value)
  }

  func over(_ preset: ConsumerOptions) -> ConsumerOptions {
    var merged = self
    merged.entries.merge(preset.entries) { own, _ in own }
    return merged
  }

  /// The options that a consumer does not have.
  func unfit(for type: ConsumerType) -> [Node.Entry] {
    Key.options(at: .preset).compactMap { $0.consumers?.contains(type) == false ? entries[$0.name] : nil }
  }

  /// Those options of the consumer that are single values.
  func values(for type: ConsumerType, _ reading: Reading) -> RouteOptions {
    var values = RouteOptions()
    for key in Key.options(at: .preset) where key.consumers?.contains(type) == true {
      if let entry = entries[key.name] { values.read(entry.value, of: key, reading) }
    }
    return values
  }
}
