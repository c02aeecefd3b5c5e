/// Puts a configuration together: the file, the files of settings that it includes, and the files that are laid over it.
///
/// What comes out is one tree, each value of which knows the place where it was written, so that everything that is said about it
/// later names the right file.
struct Composition {
  /// Files that one file may include, directly or through others.
  static let mostIncluded = 64
  private static let deepestInclude = 16

  private let reading: Reading

  init(reading: Reading) {
    self.reading = reading
  }

  /// - Returns: nil, with findings, if one of the files cannot be used. Without its values, most of what could be said about the others
  ///   would be wrong.
  func read(_ path: String, overlays: [String]) -> Node? {
    var layers: [Node?] = [layer(path, isOverlay: false)]
    for overlay in overlays { layers.append(layer(overlay, isOverlay: true)) }
    let usable = layers.compactMap(\.self)
    guard usable.count == layers.count, let base = usable.first else { return nil }
    var overlay = Overlay()
    let whole = usable.dropFirst().reduce(base) { overlay.laid($1, over: $0) }
    reading.findings.merge(overlay.findings)
    reading.removals = overlay.removals
    return whole
  }

  /// One file with everything that it includes.
  private func layer(_ path: String, isOverlay: Bool) -> Node? {
    guard let node = reading.document(path, as: isOverlay ? .overlay : .configuration) else { return nil }
    reading.settingsFiles.insert(path)
    guard node.entries != nil else {
      // Of the file itself, its reader says so.
      guard isOverlay, !node.isUnusable else { return node }
      return reading.refuse(
        .wrongType, "expected a mapping of keys to values for \"\(path)\", found \(node.content.kind)",
        at: node.range, hint: "it has the keys of the file that it changes, such as server: and limits:")
    }
    var included = Included(open: [path])
    var union = Union()
    let whole = united(node, &included, &union)
    reading.findings.merge(union.findings)
    return included.isComplete ? whole : nil
  }

  /// What one layer has included so far.
  private struct Included {
    /// The files that are being read, the outermost first.
    var open: [String]
    /// The files that were read. One that two files include is read once.
    var known: Set<String> = []
    /// Whether all files could be used.
    var isComplete = true
  }

  /// A mapping with the entries of the files that it includes behind its own.
  private func united(_ node: Node, _ included: inout Included, _ union: inout Union) -> Node {
    let entries = reading.corrections.applied(to: node.entries ?? [], of: node)
    var whole = node
    whole.content = .mapping(entries.filter { $0.key.value != "include" })
    guard let include = entries.first(where: { $0.key.value == "include" }) else { return whole }
    for (name, range) in names(include.value, &included) {
      guard let more = self.included(name, at: range, &included, &union) else { continue }
      whole = union.united(whole, more)
    }
    return whole
  }

  /// The names of `include`, one or a list.
  private func names(_ node: Node, _ included: inout Included) -> [(String, SourceRange)] {
    if case .mapping = node.content {
      included.isComplete = false
      reading.findings.error(
        .wrongType, "expected the name of a file for \"include\", found a mapping", at: node.range,
        hint: "write include: settings.yaml, or include: [auth.yaml, limits.yaml]")
      return []
    }
    var seen: Set<String> = []
    return node.items.compactMap { item in
      guard let name = reading.includedName(item, example: "include: settings.yaml") else {
        included.isComplete = false
        return nil
      }
      guard seen.insert(name).inserted else {
        reading.findings.error(.duplicateName, "the file \"\(name)\" is included twice", at: item.range)
        return nil
      }
      return (name, item.range)
    }
  }

  /// The entries of an included file, and of those that it includes; nil if it is known already, or cannot be used.
  private func included(
    _ name: String, at range: SourceRange, _ included: inout Included, _ union: inout Union
  ) -> Node? {
    let path = reading.place(of: name, at: range)
    guard !included.open.contains(path) else {
      included.isComplete = false
      return reading.refuse(
        .includeCycle, "this include leads back to the file \"\(path)\"", at: range,
        hint: (included.open + [path]).joined(separator: " → "))
    }
    guard included.known.insert(path).inserted else { return nil }
    guard included.known.count <= Self.mostIncluded, included.open.count <= Self.deepestInclude else {
      included.isComplete = false
      return reading.refuse(
        .includeCycle,
        "more than \(Self.mostIncluded) files are included, or they are nested deeper than \(Self.deepestInclude)",
        at: range)
    }
    guard let node = settings(path, as: name, at: range) else {
      included.isComplete = false
      return nil
    }
    reading.settingsFiles.insert(path)
    included.open.append(path)
    defer { included.open.removeLast() }
    return united(node, &included, &union)
  }

  /// The document of an included file, which has to be a mapping.
  ///
  /// - Parameter name: as it is written.
  private func settings(_ path: String, as name: String, at range: SourceRange) -> Node? {
    guard
      let node = reading.document(path, as: .include(range, ifEmpty: "write {} for a file that sets nothing"))
    else { return nil }
    guard let entries = node.entries else {
      let isOfRoutes = node.items.contains { $0.entries != nil }
      return reading.refuse(
        .wrongType, "\"\(path)\" is included at the top level, and has no keys: it is \(node.content.kind)",
        at: range,
        hint: isOfRoutes
          ? "routes are included at a route: websocket: [{include: \(name)}]"
          : "it has keys such as auth: and limits:")
    }
    guard let routes = entries.first(where: { Self.keysOfRoutes.contains($0.key.value) }) else { return node }
    return reading.refuse(
      .wrongType,
      "\"\(path)\" is included at the top level, and \"\(routes.key.value)\" is no key of the top level",
      at: range, hint: "routes are included at a route: websocket: [{include: \(name)}]",
      related: [.init("the key", at: routes.key.range)])
  }

  private static let keysOfRoutes: Set = ["routes", "path", "consumer"]
}
