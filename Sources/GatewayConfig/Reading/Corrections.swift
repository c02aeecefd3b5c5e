/// Corrections of misspelt or misplaced keys, with which the file can be read again as if they were right.
struct Corrections {
  /// The place in a file where a value begins.
  private struct Place: Hashable {
    var file: ObjectIdentifier
    var position: SourcePosition

    init(startOf range: SourceRange) {
      file = ObjectIdentifier(range.file)
      position = range.start
    }

    init(endOf range: SourceRange) {
      file = ObjectIdentifier(range.file)
      position = range.end
    }
  }

  /// A mapping that was read, and its possible keys.
  struct Known {
    var node: Node
    var what: String
    var keys: Set<String>
    /// Whether it is a mapping from event types, whose keys are not known.
    var takesEvents = false

    func mayHold(_ entry: Node.Entry) -> Bool {
      takesEvents
        ? entry.key.value.contains(".") || entry.value.isWord("event") : keys.contains(entry.key.value)
    }
  }

  private var names: [Place: String] = [:]
  /// Entries that belong to another mapping, by the place where that mapping begins.
  private var moved: [Place: [Node.Entry]] = [:]
  private var movedKeys: Set<Place> = []
  /// The findings about the corrected mistakes.
  private(set) var findings: [Finding] = []
  private var rounds = 0
  private var isChanged = false
  /// The mappings that were read in this round, by the place where they end.
  private var known: [Place: [Known]] = [:]
  /// The same by the place where they begin.
  private var knownByStart: [Place: [Known]] = [:]
  /// For an entry behind a moved one: where the mapping of the moved one begins.
  private var followed: [Place: Place] = [:]

  /// Whether there are new corrections since the last round, and another round is allowed.
  mutating func beginRound(atMost most: Int) -> Bool {
    guard isChanged, rounds < most else { return false }
    isChanged = false
    rounds += 1
    known = [:]
    knownByStart = [:]
    return true
  }

  /// From the next round on, reads a key as another one.
  mutating func rename(_ entry: Node.Entry, to name: String, _ finding: Finding) {
    let place = Place(startOf: entry.key.range)
    guard names.updateValue(name, forKey: place) == nil else { return }
    findings.append(finding)
    isChanged = true
  }

  /// From the next round on, reads an entry as part of another mapping.
  ///
  /// - Parameters:
  ///   - finding: nil if the entry follows a moved one, whose finding says so.
  ///   - next: the entry behind it, which may belong to the same mapping.
  mutating func move(
    _ entry: Node.Entry, into mapping: Node, _ finding: Finding?, before next: Node.Entry? = nil
  ) {
    guard movedKeys.insert(Place(startOf: entry.key.range)).inserted else { return }
    let owner = Place(startOf: mapping.range)
    moved[owner, default: []].append(entry)
    if let next { followed[Place(startOf: next.key.range)] = owner }
    if let finding { findings.append(finding) }
    isChanged = true
  }

  /// Remembers the keys of a mapping, to recognise keys that are one level too high.
  mutating func remember(_ mapping: Node, _ what: String, _ keys: Set<String>, takesEvents: Bool = false) {
    let read = Known(node: mapping, what: what, keys: keys, takesEvents: takesEvents)
    known[Place(endOf: mapping.range), default: []].append(read)
    knownByStart[Place(startOf: mapping.range), default: []].append(read)
  }

  /// The nearest mapping that ends where the entry begins and may hold it, because the entry is indented too little.
  func owner(of entry: Node.Entry) -> Known? {
    let place = entry.key.range.start
    return known[Place(startOf: entry.key.range)]?.filter { mapping in
      mapping.mayHold(entry) && mapping.node.range.start.column > place.column
        && mapping.node.range.start.line < place.line
    }.min { $0.node.range.start.column < $1.node.range.start.column }
  }

  /// The mapping that the entry before this one was moved into, if it may hold this one, too.
  func ownerOfFollower(_ entry: Node.Entry) -> Known? {
    followed[Place(startOf: entry.key.range)].flatMap { start in
      knownByStart[start]?.first { $0.mayHold(entry) }
    }
  }

  /// The empty value before an entry, if a mapping was expected there that may hold the entry.
  func emptyOwner(of entry: Node.Entry, behind earlier: Node.Entry) -> Known? {
    guard case .scalar(let scalar) = earlier.value.content, scalar.style == .plain, scalar.text.isEmpty,
      earlier.key.range.start.line < entry.key.range.start.line
    else { return nil }
    return knownByStart[Place(startOf: earlier.value.range)]?.first { $0.mayHold(entry) }
  }

  /// Whether entries were moved into a value.
  func haveMoved(into node: Node) -> Bool { moved[Place(startOf: node.range)] != nil }

  /// The entries of a mapping with the corrections applied.
  func applied(to entries: [Node.Entry], of mapping: Node) -> [Node.Entry] {
    guard !names.isEmpty || !moved.isEmpty else { return entries }
    let own = entries.compactMap { entry -> Node.Entry? in
      let place = Place(startOf: entry.key.range)
      guard !movedKeys.contains(place) else { return nil }
      guard let name = names[place] else { return entry }
      return Node.Entry(key: Located(name, at: entry.key.range), value: entry.value)
    }
    return own + (moved[Place(startOf: mapping.range)] ?? [])
  }
}
