import Bytes

/// Reads the keys of one mapping, remembers which keys it was asked for, and reports the others at the end.
final class MappingCursor {
  let reading: Reading
  let node: Node
  /// A name for the mapping, for sentences: "a websocket route".
  let what: String
  let entries: [Node.Entry]
  private var asked: [String] = []

  /// Which keys it may have; nil if its keys are names that the operator chooses.
  private let kind: KeyPlace?

  private static let keysByFoldedName = Dictionary(
    Key.homes.keys.map { (NearestName.folded($0), $0) }, uniquingKeysWith: { first, _ in first })

  /// A mapping whose keys are declared.
  convenience init?(
    _ node: Node, _ place: KeyPlace, _ reading: Reading, what: String? = nil, shape: String? = nil
  ) {
    self.init(node, what ?? place.what, reading, shape: shape, place: place)
  }

  /// Nil, with a finding, if the node is not a mapping.
  ///
  /// - Parameter shape: an example of such a mapping, for the hint.
  init?(_ node: Node, _ what: String, _ reading: Reading, shape: String? = nil, place: KeyPlace? = nil) {
    if node.entries == nil, !reading.corrections.haveMoved(into: node) {
      if node.isUnusable { return nil }
      reading.findings.hideSecrets(of: node, place.map { KeyValue.mapping($0) }, under: nil)
      if let place { reading.corrections.remember(node, what, Key.names(at: place)) }
      reading.findings.error(
        .wrongType, "expected a mapping of keys to values for \(what), found \(node.content.kind)",
        at: node.range, hint: Self.lacksColon(node) ?? shape.map { "write \($0)" })
      return nil
    }
    entries = reading.corrections.applied(to: node.entries ?? [], of: node)
    self.node = node
    self.what = what
    self.kind = place
    self.reading = reading
  }

  /// A hint for text like `key:value` or `key = value`, which YAML reads as one word.
  private static func lacksColon(_ node: Node) -> String? {
    guard case .scalar(let scalar) = node.content, scalar.style == .plain else { return nil }
    let key = scalar.text.prefix { $0 != ":" && $0 != "=" }
    let isKey = key.utf8.allSatisfy { $0.isOfKey || $0 == UInt8(ascii: " ") }
    guard !key.isEmpty, isKey, key.count < scalar.text.count,
      !scalar.text.dropFirst(key.count).hasPrefix("://")
    else { return nil }
    return scalar.text.dropFirst(key.count).first == "="
      ? "a key is followed by \":\", not by \"=\"" : "put a space after the \":\""
  }

  /// The entry of a key, if it is there. The key is declared for this place.
  func entry(_ key: String) -> Node.Entry? {
    assert(kind.map { Key.named(key, at: $0) != nil } ?? true, "\(key) is no key of \(what)")
    return undeclared(key)
  }

  /// The entry of a key that does not belong here, and gets a finding of its own where it is: it is not reported as unknown.
  func undeclared(_ key: String) -> Node.Entry? {
    asked.append(key)
    return entries.first { $0.key.value == key }
  }

  func value(_ key: String) -> Node? { entry(key)?.value }

  /// Whether a key stands here, known or not.
  func has(_ key: String) -> Bool { entries.contains { $0.key.value == key } }

  /// The value of a key that must be there.
  func required(_ key: String, hint: String? = nil) -> Node? {
    if let value = value(key) { return value }
    // A misspelt key is reported as unknown. That the right one is missing would be a second finding for one mistake.
    let unasked = entries.map(\.key.value).filter { !asked.contains($0) }
    if NearestName.of(key, in: unasked) == nil {
      reading.findings.error(
        .missingKey, "\(what) needs \"\(key)\"", at: place, hint: hint,
        related: reading.removals[key, in: node].map { [.init("removed here", at: $0)] } ?? [])
    }
    return nil
  }

  /// Whether one of its keys may be a misspelt one of those of which the mapping has exactly one.
  var isNearAlternative: Bool {
    kind?.alternatives.joined().contains { NearestName.of($0, in: keys.map(\.value)) != nil } ?? false
  }

  /// The place for a finding about the whole mapping: its first key.
  var place: SourceRange { entries.first?.key.range ?? node.range }

  var keys: [Located<String>] { entries.map(\.key) }

  /// The keys that may stand here, beside those that do, and those that were asked for.
  private var known: Set<String> {
    guard let place = kind else { return Set(asked) }
    let fitting = Key.dependent(at: place).filter { key in key.needs.contains(where: has) }
    return Key.names(at: place).union(asked).union(fitting.map(\.name))
  }

  /// The entries of a mapping with free names, without those that belong to the entry before them.
  ///
  /// An entry whose value does not fit, and whose name is a key of what stands before it, is indented too little. It is reported
  /// once, and read at its right place in the next round.
  ///
  /// - Parameter isFit: whether a value may be that of an entry.
  func readEntries<Value>(_ isFit: (Node) -> Bool, _ read: (Node.Entry) -> Value?) -> [Value] {
    entries.compactMap { entry in
      guard !isFit(entry.value), let owner = reading.corrections.owner(of: entry) else { return read(entry) }
      let finding = Finding(
        .error, .unknownKey,
        "\"\(entry.key.value)\" is a key of \(owner.what), and stands among the names of \(what)",
        at: entry.key.range, hint: "indent it to column \(owner.node.range.start.column)")
      reading.findings.add(finding)
      reading.corrections.move(entry, into: owner.node, finding)
      return nil
    }
  }

  /// Reports every key that is not known here.
  func finish() {
    let known = known
    reading.corrections.remember(node, what, known)
    var missing = known.subtracting(entries.map(\.key.value))
    for (index, entry) in entries.enumerated() where !known.contains(entry.key.value) {
      let name = entry.key.value
      reading.findings.hideSecrets(of: entry.value, nil, under: name)
      let next = index + 1 < entries.count ? entries[index + 1] : nil
      if let owner = reading.corrections.ownerOfFollower(entry) {
        reading.corrections.move(entry, into: owner.node, nil, before: next)
        continue
      }
      guard reading.findings.hasRoomForErrors else {
        reading.findings.error(.unknownKey, "unknown key \"\(name)\" in \(what)", at: entry.key.range)
        continue
      }
      let empty = index > 0 ? reading.corrections.emptyOwner(of: entry, behind: entries[index - 1]) : nil
      let indented = empty.map {
        "indent the keys of \($0.what) to column \(entry.key.range.start.column + 2)"
      }
      let finding = Finding(
        .error, .unknownKey, "unknown key \"\(name)\" in \(what)", at: entry.key.range,
        hint: indented ?? hint(for: entry, known, before: next))
      reading.findings.add(finding)
      if let owner = empty ?? reading.corrections.owner(of: entry) {
        reading.corrections.move(entry, into: owner.node, finding, before: next)
      } else if let meant = meant(by: name, known), missing.remove(meant) != nil {
        reading.corrections.rename(entry, to: meant, finding)
      }
    }
  }

  /// The key that was probably meant by an unknown one.
  private func meant(by name: String, _ known: Set<String>) -> String? {
    let sorted = known.sorted()
    if let same = NearestName.same(as: name, in: sorted) ?? Habits.key(for: name, in: known) { return same }
    // A name that means something elsewhere is not misspelt.
    guard Habits.hint(for: name) == nil else { return nil }
    let near = NearestName.of(name, in: sorted)
    // A key of the top level is one, unless the other one is almost it, as `channel_layer` is.
    let isOfTop = Key.named(name, at: .file) != nil
    return near.flatMap { isOfTop && !name.hasPrefix($0) ? nil : $0 }
  }

  /// Where a key of another mapping belongs.
  private func homeHint(for name: String) -> String? {
    guard let meant = Self.keysByFoldedName[NearestName.folded(name)], let home = Key.homes[meant] else {
      return nil
    }
    // They have the keys of other programs, which are as likely.
    guard kind?.isOfDjango != true || home.contains("at the top level") else { return nil }
    return meant == name ? "\"\(name)\" belongs \(home)" : "did you mean \"\(meant)\"? It belongs \(home)"
  }

  /// - Parameter next: the entry behind it.
  private func hint(for entry: Node.Entry, _ known: Set<String>, before next: Node.Entry?) -> String? {
    let name = entry.key.value
    if let owner = reading.corrections.owner(of: entry) {
      let areMore = next.map { !known.contains($0.key.value) && owner.mayHold($0) } ?? false
      let more = areMore ? ", and the keys below it" : ""
      return "indent it to column \(owner.node.range.start.column)\(more): it is a key of \(owner.what)"
    }
    if name.contains("=") { return "a key is followed by \":\", not by \"=\"" }
    if kind == .server, let hint = Habits.serverHint(for: name) { return hint }
    if let meant = meant(by: name, known) { return "did you mean \"\(meant)\"?" }
    if let hint = Habits.hint(for: name) ?? homeHint(for: name) { return hint }
    // A long list of keys is shown once for a mapping.
    let isFirst = entries.first { !known.contains($0.key.value) }?.key.range == entry.key.range
    return NearestName.hint(for: name, in: fitting(known).sorted(), atMost: isFirst ? 40 : 24)
  }

  /// Without the options of other consumers than the one that stands here.
  private func fitting(_ names: Set<String>) -> Set<String> {
    guard let place = kind, let consumer = entries.first(where: { $0.key.value == "consumer" })?.value.word,
      let type = ConsumerType(rawValue: consumer)
    else { return names }
    return names.filter { Key.named($0, at: place)?.consumers?.contains(type) ?? true }
  }
}

// MARK: - Values

extension MappingCursor {
  /// The number of a key, in its declared range.
  func integer(_ key: String) -> Int? {
    value(key).flatMap { reading.integer($0, "\"\(key)\"", in: range(of: key, \.integers)) }
  }

  /// The time of a key, in its declared range.
  func duration(_ key: String) -> Duration? {
    value(key).flatMap { reading.duration($0, "\"\(key)\"", in: range(of: key, \.times)) }
  }

  /// The size of a key, in its declared range.
  func byteCount(_ key: String) -> ByteCount? {
    value(key).flatMap { reading.byteCount($0, "\"\(key)\"", in: range(of: key, \.sizes)) }
  }

  /// `true` or `false`.
  func truth(_ key: String) -> Bool? { value(key).flatMap { reading.truth($0, "\"\(key)\"") } }

  /// Text that is not empty.
  func word(_ key: String) -> String? { value(key).flatMap { reading.word($0, "\"\(key)\"") } }

  /// One of a closed set of words.
  func choice<Choice: RawRepresentable & CaseIterable>(_ key: String, of type: Choice.Type) -> Choice?
  where Choice.RawValue == String {
    value(key).flatMap { reading.choice($0, "\"\(key)\"", of: type) }
  }

  /// The range that is declared for a key of this mapping.
  func range<Bound>(of key: String, _ kind: KeyPath<KeyValue, ClosedRange<Bound>?>) -> ClosedRange<Bound> {
    guard let place = self.kind else { preconditionFailure("the keys of \(what) are not declared") }
    return Key.range(of: key, at: place, kind)
  }
}
