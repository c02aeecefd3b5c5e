import Bytes

/// Builds the node tree from events: resolves aliases, replaces variables, and enforces the bounds.
struct NodeBuilder {
  private let file: SourceFile
  private let variables: Variables
  private(set) var root: Node?
  var findings = Findings()
  private var open: [Container] = []
  private var anchors: [String: (node: Node, size: Size)] = [:]
  private var total = Size(nodes: 0, bytes: 0)
  private var documents = 0

  /// The size of a part of the document, including everything that aliases repeat in it.
  private struct Size {
    var nodes: Int
    /// The bytes of its texts.
    var bytes: Int

    static func += (size: inout Size, more: Size) {
      size.nodes += more.nodes
      size.bytes += more.bytes
    }
  }

  /// A sequence or mapping that has not ended yet.
  private struct Container {
    var isMapping: Bool
    var start: SourceRange
    var anchor: String?
    var items: [Node] = []
    var entries: [Node.Entry] = []
    /// The first place of each key.
    var places: [String: SourceRange] = [:]
    var key: Located<String>?
    /// The key was unusable; its value is read and dropped.
    var droppedKey: String?
    /// A second route begins in it, and the mapping is refused as a whole.
    var isBehindRoute = false
    /// It began in another mapping, with the key of that one again.
    var isSecondRoute = false
    var size = Size(nodes: 1, bytes: 0)
  }

  init(file: SourceFile, variables: Variables) {
    self.file = file
    self.variables = variables
  }

  /// - Returns: false if further events should not be read.
  mutating func take(_ event: Located<YAMLEvent>) -> Bool {
    switch event.value {
    case .documentStart:
      documents += 1
      guard documents == 1 else {
        findings.error(
          .yamlSyntax, "a second document begins here", at: event.range,
          hint: "write one document for each file")
        return false
      }
      return true
    case .scalar(let text, let style, let isLiteral, let anchor, let tag):
      refuse(tag, at: event.range)
      return takeScalar(text, style, isLiteral: isLiteral, anchor: anchor, at: event.range)
    case .start(let isMapping, let anchor, let tag):
      refuse(tag, at: event.range)
      if expectsKey {
        findings.error(.yamlSyntax, "a key must be a single word or text", at: event.range)
        return false
      }
      open.append(Container(isMapping: isMapping, start: event.range, anchor: anchor))
      guard open.count <= YAMLReader.Bounds.depth else {
        findings.error(.yamlLimit, "nested deeper than \(YAMLReader.Bounds.depth) levels", at: event.range)
        return false
      }
      return count(Size(nodes: 1, bytes: 0), at: event.range)
    case .end: return close(at: event.range)
    case .alias(let name): return takeAlias(name, at: event.range)
    }
  }

  private mutating func refuse(_ tag: String?, at range: SourceRange) {
    guard let tag, tag != "!" else { return }
    findings.error(.yamlSyntax, "the tag \"\(tag)\" is not supported", at: range, hint: "remove it")
  }

  private mutating func count(_ more: Size, at range: SourceRange) -> Bool {
    total += more
    guard total.bytes <= YAMLReader.Bounds.text else {
      findings.error(
        .yamlLimit,
        "the values are larger than \(YAMLReader.Bounds.text >> 20) MiB, counting what aliases and variables repeat",
        at: range)
      return false
    }
    guard total.nodes <= YAMLReader.Bounds.nodes else {
      findings.error(
        .yamlLimit,
        "the file has more than \(YAMLReader.Bounds.nodes) values, counting those that aliases repeat",
        at: range)
      return false
    }
    return true
  }

  private mutating func takeScalar(
    _ text: String, _ style: Node.Scalar.Style, isLiteral: Bool, anchor: String?, at range: SourceRange
  ) -> Bool {
    guard !text.hasTooManyMarks else {
      findings.error(.yamlLimit, "there are too many combining marks in a row", at: range)
      return false
    }
    if expectsKey {
      takeKey(text, at: range)
      let size = Size(nodes: 0, bytes: text.utf8.count)
      open[open.count - 1].size += size
      return count(size, at: range)
    }
    var text = text
    var range = range
    separate(&text, style, at: &range)
    var scalar = Node.Scalar(text: text, style: style)
    if !isLiteral {
      mend(&scalar, at: range)
      variables.replace(in: &scalar, under: keyOfValue, at: range, &findings)
    }
    let size = Size(nodes: 1, bytes: scalar.text.utf8.count)
    guard count(size, at: range) else { return false }
    add(Node(.scalar(scalar), at: range), size: size, anchor: anchor)
    return true
  }

  /// Reports a mistake in the notation of a value, and continues with the value that was meant, so that it causes no further
  /// findings.
  private mutating func mend(_ scalar: inout Node.Scalar, at range: SourceRange) {
    let isPlain = scalar.style == .plain
    let key = keyOfValue
    guard
      let slip = isPlain ? Slip.first(in: scalar.text, under: key) : Slip.variable(scalar.text, under: key)
    else { return }
    var place = range
    if range.isInOneLine {
      let start = range.start.column + (isPlain ? 0 : 1)
      place.start.column = start + slip.place.lowerBound
      place.end.column = start + slip.place.upperBound
    }
    findings.add(Finding(slip.severity, .invalidValue, slip.message, at: place, hint: slip.hint))
    if let meant = slip.meant, !meant.isEmpty {
      scalar.text = meant
    } else if slip.severity == .error {
      scalar.isUnusable = true
    }
  }

  /// The key that the next value stands under, which may be that of a list around it.
  private var keyOfValue: String? { open.last(where: \.isMapping)?.key?.value }

  /// Takes `{env:NAME}`, which YAML reads as a key without a value, for the key and the value that were meant.
  private mutating func separate(
    _ text: inout String, _ style: Node.Scalar.Style, at range: inout SourceRange
  ) {
    guard style == .plain, text.isEmpty, range.start == range.end, open.last?.isMapping == true,
      let key = open.last?.key, let colon = key.value.utf8.firstIndex(of: UInt8(ascii: ":")),
      key.range.isInOneLine,
      key.range.end.column - key.range.start.column == key.value.unicodeScalars.count
    else { return }
    let name = String(key.value[..<colon])
    let value = String(key.value[key.value.index(after: colon)...])
    guard name.utf8.allSatisfy(\.isOfKey), !name.isEmpty, !value.isEmpty, !value.hasPrefix("//"),
      open[open.count - 1].places[name] == nil
    else { return }
    var place = key.range
    place.end.column = place.start.column + name.utf8.count + 1
    findings.error(
      .yamlSyntax, "there is no space after \"\(name):\"", at: place, hint: "put a space after the \":\"")
    text = value
    range = key.range
    range.start.column = place.end.column
    // The key itself is without its colon.
    place.end.column -= 1
    open[open.count - 1].places[name] = place
    open[open.count - 1].key = Located(name, at: place)
  }

  /// Whether the next node is the key of a mapping.
  private var expectsKey: Bool {
    guard let container = open.last else { return false }
    return container.isMapping && container.key == nil && container.droppedKey == nil
  }

  private mutating func takeKey(_ text: String, at range: SourceRange) {
    let last = open.count - 1
    if open[last].isBehindRoute {
      open[last].droppedKey = text
    } else if let first = open[last].places[text] {
      guard !beginsRoute(text, at: range) else { return }
      findings.error(
        .duplicateKey, "the key \"\(text)\" is given twice", at: range, hint: "remove one of them",
        related: [Located("the first one", at: first)])
      open[last].droppedKey = text
    } else {
      open[last].places[text] = range
      open[last].key = Located(text, at: range)
    }
  }

  private static let firstKeys: Set = ["path", "re_path"]

  /// Whether a key that is there already begins the next route of a list, whose "- " was forgotten. The next route is read as
  /// one.
  private mutating func beginsRoute(_ text: String, at range: SourceRange) -> Bool {
    let last = open.count - 1
    guard Self.firstKeys.contains(text), last > 0, range.start.line > open[last].start.start.line else {
      return false
    }
    if open[last - 1].isMapping {
      // A mapping in place of a list of routes is one finding, which tells how to write a list.
      guard let around = open[last - 1].key?.value, ["websocket", "http", "routes"].contains(around) else {
        return false
      }
      open[last].isBehindRoute = true
      open[last].droppedKey = text
      return true
    }
    findings.error(
      .duplicateKey, "the key \"\(text)\" is given twice", at: range,
      hint: "put \"- \" before it if another route begins here, or remove one of them",
      related: open[last].places[text].map { [Located("the first one", at: $0)] } ?? [])
    let first = open[last]
    let whole = SourceRange(file: file, start: first.start.start, end: range.start)
    open[last - 1].items.append(Node(.mapping(merged(first.entries)), at: whole))
    open[last - 1].size += first.size
    open[last] = Container(isMapping: true, start: range, anchor: nil)
    open[last].isSecondRoute = true
    open[last].places[text] = range
    open[last].key = Located(text, at: range)
    return true
  }

  private mutating func takeAlias(_ name: String, at range: SourceRange) -> Bool {
    if expectsKey {
      findings.error(.yamlSyntax, "a key cannot be an alias", at: range)
      return false
    }
    let anchor = anchors[name]
    if anchor == nil {
      findings.error(.yamlSyntax, "there is no anchor \"&\(name)\" before this alias", at: range)
    }
    let size = anchor?.size ?? Size(nodes: 1, bytes: 0)
    guard count(size, at: range) else { return false }
    let unusable = Node.Content.scalar(Node.Scalar(text: "", style: .plain, isUnusable: true))
    add(Node(anchor?.node.content ?? unusable, at: range), size: size, anchor: nil)
    return true
  }

  private mutating func close(at end: SourceRange) -> Bool {
    guard let container = open.popLast() else { return true }
    // Only the key was there twice.
    if container.isSecondRoute, container.entries.count < 2 { return true }
    let range = SourceRange(file: file, start: container.start.start, end: end.end)
    let content: Node.Content =
      container.isMapping ? .mapping(merged(container.entries)) : .sequence(withoutTuples(container.items))
    add(Node(content, at: range), size: container.size, anchor: container.anchor)
    return true
  }

  // MARK: - Python's tuples

  /// A list with lists in place of entries that were written as Python tuples: in YAML, `[("a", 1)]` has the entries `("a"` and
  /// `1)`.
  private mutating func withoutTuples(_ items: [Node]) -> [Node] {
    guard items.contains(where: { Self.plainText($0)?.hasPrefix("(") == true }) else { return items }
    var result: [Node] = []
    var index = 0
    while index < items.count {
      guard let (node, next) = tuple(items, from: index) else {
        result.append(items[index])
        index += 1
        continue
      }
      result.append(node)
      index = next
    }
    return result
  }

  private mutating func tuple(_ items: [Node], from index: Int) -> (Node, next: Int)? {
    guard Self.plainText(items[index])?.hasPrefix("(") == true,
      let last = items[index...].prefix(16).firstIndex(where: { Self.plainText($0)?.hasSuffix(")") == true })
    else { return nil }
    let text = items[index...last].compactMap(Self.plainText).joined(separator: ",")
    guard text.contains(",") else { return nil }
    let range = SourceRange(file: file, start: items[index].range.start, end: items[last].range.end)
    let parts = text.dropFirst().dropLast().split(separator: ",").map { part -> Node.Scalar in
      let part = part.drop { $0 == " " }
      let isQuoted =
        part.count > 1 && (part.hasPrefix("\"") || part.hasPrefix("'")) && part.last == part.first
      return Node.Scalar(
        text: String(isQuoted ? part.dropFirst().dropLast() : part), style: isQuoted ? .quoted : .plain)
    }
    // The hint repeats only addresses, because other values may be secrets.
    let isAddress = parts.count == 2 && Int(parts[1].text) != nil
    findings.error(
      .wrongType, "a list is written in brackets; parentheses are Python's", at: range,
      hint: isAddress ? "write [\"\(parts[0].text)\", \(parts[1].text)]" : "write [...]")
    return (Node(.sequence(parts.map { Node(.scalar($0), at: range) }), at: range), last + 1)
  }

  private static func plainText(_ node: Node) -> String? {
    guard case .scalar(let scalar) = node.content, scalar.style == .plain, !scalar.isUnusable,
      scalar.text.utf8.count < 1000
    else { return nil }
    return scalar.text
  }

  // MARK: - Merge keys

  /// The entries with those that `<<` adds: a mapping or a list of mappings. Earlier ones take precedence, and keys written out
  /// take precedence over all (YAML 1.1, merge key type).
  private mutating func merged(_ entries: [Node.Entry]) -> [Node.Entry] {
    guard let merge = entries.first(where: { $0.key.value == Self.mergeKey }) else { return entries }
    var result = entries.filter { $0.key.value != Self.mergeKey }
    var written = Set(result.map(\.key.value))
    for source in merge.value.items {
      guard let more = source.entries else {
        if source.isUnusable { continue }
        findings.error(
          .yamlSyntax, "expected a mapping or a list of mappings for \"<<\"", at: source.range,
          hint: "write <<: *name, where &name stands before a mapping")
        continue
      }
      result += more.filter { written.insert($0.key.value).inserted }
    }
    return result
  }

  private static let mergeKey = "<<"

  private mutating func add(_ node: Node, size: Size, anchor: String?) {
    if let anchor { anchors[anchor] = (node, size) }
    guard !open.isEmpty else {
      root = node
      return
    }
    let last = open.count - 1
    open[last].size += size
    if !open[last].isMapping {
      open[last].items.append(node)
    } else if let key = open[last].key {
      open[last].entries.append(Node.Entry(key: key, value: node))
      open[last].key = nil
    } else {
      findings.hideSecrets(of: node, nil, under: open[last].droppedKey)
      open[last].droppedKey = nil
    }
  }
}
