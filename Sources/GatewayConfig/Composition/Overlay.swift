/// Lays files over another one, each of which changes what the ones before it say.
///
/// Mappings are merged, at any depth. A list, a single value or a secret takes the place of what was there. `null` removes a key. Of keys
/// that exclude each other, such as `jwt` and `callback`, those of the upper file stay.
struct Overlay {
  private(set) var findings = Findings()
  private(set) var removals = Removals()

  /// Where keys were removed with `null`, by the place of the mapping that had them.
  struct Removals {
    private var places: [SourceRange: [String: SourceRange]] = [:]

    /// - Returns: where a key was removed from a mapping; nil where it was not.
    subscript(_ key: String, in mapping: Node) -> SourceRange? {
      get { places[mapping.range]?[key] }
      set { places[mapping.range, default: [:]][key] = newValue }
    }

    /// Where keys were removed from a mapping, in the order of their names.
    func all(in mapping: Node) -> [SourceRange] {
      (places[mapping.range] ?? [:]).sorted { $0.key < $1.key }.map(\.value)
    }
  }

  /// - Returns: the lower tree, changed by the upper one. Each value has the place where it is written.
  mutating func laid(_ upper: Node, over lower: Node) -> Node {
    laid(upper, over: lower, .mapping(.file), [])
  }

  private mutating func laid(
    _ upper: Node, over lower: Node, _ value: KeyValue?, _ path: [String]
  ) -> Node {
    guard let changes = upper.entries, let old = lower.entries, value?.isSecret != true else {
      findings.hideSecrets(of: lower, value, under: path.last)
      return new(upper, value, path)
    }
    var entries: [Node.Entry?] = old
    let places = Dictionary(
      old.enumerated().map { ($1.key.value, $0) }, uniquingKeysWith: { first, _ in first })
    for name in value?.excluded(by: Set(changes.map(\.key.value))) ?? [] {
      guard let index = places[name] else { continue }
      findings.hideSecrets(of: old[index].value, value?.value(of: name), under: name)
      entries[index] = nil
    }
    for change in changes {
      let name = change.key.value
      guard let index = places[name], let entry = entries[index] else {
        if change.value.isNull {
          reportNothingToRemove(change, among: old, path)
        } else {
          entries.append(
            Node.Entry(key: change.key, value: new(change.value, value?.value(of: name), path + [name])))
        }
        continue
      }
      if change.value.isNull {
        removals[name, in: lower] = change.key.range
        findings.hideSecrets(of: entry.value, value?.value(of: name), under: name)
        entries[index] = nil
      } else if change.value.isEmptyPlain {
        findings.error(
          .wrongType, "\"\((path + [name]).joined(separator: "."))\" has no value here", at: change.key.range,
          hint: "write null to remove the key, or leave it out to keep what is there",
          related: [.init("what is there", at: entry.key.range)])
      } else {
        let isMerged = change.value.entries != nil && entry.value.entries != nil
        let below = laid(change.value, over: entry.value, value?.value(of: name), path + [name])
        entries[index] = Node.Entry(key: isMerged ? entry.key : change.key, value: below)
      }
    }
    var whole = lower
    whole.content = .mapping(entries.compactMap(\.self))
    return whole
  }

  /// A value where there was none to lay it over, or another kind: null removes nothing there. What is not declared is left to its reader.
  private mutating func new(_ node: Node, _ value: KeyValue?, _ path: [String]) -> Node {
    guard let value, !value.isSecret, let entries = node.entries else { return node }
    var whole = node
    whole.content = .mapping(
      entries.compactMap { entry in
        let name = entry.key.value
        guard let below = value.value(of: name) else { return entry }
        guard entry.value.isNull else {
          return Node.Entry(key: entry.key, value: new(entry.value, below, path + [name]))
        }
        reportNothingToRemove(entry, among: [], path)
        return nil
      })
    return whole
  }

  private mutating func reportNothingToRemove(
    _ change: Node.Entry, among entries: [Node.Entry], _ path: [String]
  ) {
    let name = change.key.value
    // Where there are very many, each would be compared with all of them.
    let isFew = entries.count <= 1000 && findings.hasRoomForErrors
    findings.error(
      .unknownKey, "there is no \"\((path + [name]).joined(separator: "."))\" that null could remove",
      at: change.key.range, hint: isFew ? NearestName.hint(for: name, in: entries.map(\.key.value)) : nil)
  }
}

extension Node {
  /// Without the keys that it would remove from a file below it.
  var withoutNulls: Node {
    guard let entries else { return self }
    var node = self
    node.content = .mapping(
      entries.filter { !$0.value.isNull }.map { Entry(key: $0.key, value: $0.value.withoutNulls) })
    return node
  }

  /// Whether it is written as null. A variable's value never is.
  var isNull: Bool { ["null", "~", "Null", "NULL"].contains(plainWord) }

  /// Whether nothing stands here.
  var isEmptyPlain: Bool { plainWord == "" }

  private var plainWord: String? {
    guard case .scalar(let scalar) = content, scalar.style == .plain else { return nil }
    return word
  }
}
