/// How to read a mapping whose keys are names that the operator chooses, such as `auth`.
struct NamedEntries: Sendable {
  /// What each name names, with its article: "an authenticator".
  let kind: String
  /// The name of an entry that stands where its name is missing.
  let standardName: String
  /// What such a mapping looks like.
  let example: String
  /// The keys that an entry begins with.
  let keys: Set<String>
  /// Whether a value may be that of an entry.
  let isFit: @Sendable (Node) -> Bool

  /// The first key of an entry that stands where a name is expected; nil where the names are there.
  func strayKey(of entries: [Node.Entry]?) -> Located<String>? {
    guard let first = entries?.first, keys.contains(first.key.value), !isFit(first.value) else { return nil }
    return first.key
  }

  /// The names, including those of entries that cannot be read. It would be wrong to call them missing, too.
  ///
  /// - Returns: nil if they are not known.
  func names(of node: Node) -> [String]? {
    strayKey(of: node.entries) == nil ? node.entries?.map(\.key.value) : nil
  }

  /// The entries, without those that belong to the entry before them. That a name is missing is reported once.
  func read<Value>(_ mapping: MappingCursor, _ read: (Node.Entry) -> Value?) -> [Value] {
    guard let key = strayKey(of: mapping.entries) else { return mapping.readEntries(isFit, read) }
    mapping.reading.findings.error(
      .missingKey, "\(mapping.what) needs the name of \(kind) before \"\(key.value)\"", at: key.range,
      hint: "write \(example), with a name of your choice")
    return [read(Node.Entry(key: Located(standardName, at: mapping.place), value: mapping.node))]
      .compactMap(\.self)
  }
}

extension NamedEntries {
  /// Entries that have one of these keys.
  init(_ kind: String, named standardName: String, example: String, with keys: Set<String>) {
    self.init(kind: kind, standardName: standardName, example: example, keys: keys) { node in
      node.entries?.contains { keys.contains($0.key.value) } ?? node.isUnusable
    }
  }
}
