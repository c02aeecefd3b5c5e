/// Reads `require:`.
struct RequirementReader {
  typealias Read = (requirements: [Requirement], captures: [String: [Located<String>]])

  let reading: Reading

  private static let name = "\"require\""

  func read(_ node: Node) -> Read {
    var read: Read = ([], [:])
    for (requirement, captures) in entries(of: node, Self.name) {
      read.requirements.append(requirement)
      read.captures[requirement.key] = captures
    }
    return read
  }

  private typealias One = (requirement: Requirement, captures: [Located<String>])

  private func entries(of node: Node, _ what: String) -> [One] {
    let shape = what == Self.name ? "require: {CLAIM: VALUE}" : "{CLAIM: VALUE}"
    guard let mapping = MappingCursor(node, what, reading, shape: shape) else { return [] }
    if mapping.entries.isEmpty {
      reading.findings.error(
        .invalidValue, "\(what) names no claim", at: node.range, hint: "write {role: admin}")
    }
    return mapping.entries.compactMap { entry in
      switch entry.key.value {
      case Requirement.anyName where Self.isGroup(entry.value):
        group(entry).map { (.any($0.map(\.requirement)), $0.flatMap(\.captures)) }
      case Requirement.allName where Self.isGroup(entry.value):
        group(entry).map { (.all($0.map(\.requirement)), $0.flatMap(\.captures)) }
      default: claim(entry)
      }
    }
  }

  /// Whether it is a mapping of requirements, or a list of such mappings; a claim may have the same name.
  private static func isGroup(_ node: Node) -> Bool {
    switch node.content {
    case .mapping: node.bracedName == nil
    case .sequence(let items):
      !items.isEmpty && items.allSatisfy { $0.entries != nil && $0.bracedName == nil }
    case .scalar: false
    }
  }

  /// The members of `any` or `all`: each entry of a mapping, or each mapping of a list.
  private func group(_ entry: Node.Entry) -> [One]? {
    let what = "\"\(entry.key.value)\""
    guard case .sequence(let items) = entry.value.content else {
      let members = entries(of: entry.value, what)
      return members.isEmpty ? nil : members
    }
    let members = items.compactMap { item -> One? in
      let parts = entries(of: item, "an entry of \(what)")
      if parts.count == 1 { return parts[0] }
      return parts.isEmpty ? nil : (.all(parts.map(\.requirement)), parts.flatMap(\.captures))
    }
    return members.isEmpty ? nil : members
  }

  private func claim(_ entry: Node.Entry) -> One? {
    let value = entry.value
    guard value.bracedName == nil else { return reportBraces(value) }
    guard value.entries == nil else {
      return reading.refuse(
        .wrongType, "expected a value or a list of values for the claim, found a mapping", at: value.range,
        hint: "write {role: [admin, staff]}")
    }
    if let list = value.items.first(where: { $0.entries != nil && $0.bracedName == nil }) {
      let name = NearestName.of(entry.key.value, in: [Requirement.anyName, Requirement.allName])
      return reading.refuse(
        .wrongType, "expected a value for the claim, found a mapping", at: list.range,
        hint:
          "for one of several requirements write \(name ?? Requirement.anyName): [{role: admin}, {is_staff: true}]"
      )
    }
    if value.items.isEmpty {
      reading.findings.error(
        .invalidValue, "the list of values for \"\(entry.key.value)\" is empty", at: value.range)
    }
    let isGroupName = [Requirement.anyName, Requirement.allName].contains(entry.key.value)
    if isGroupName, !value.items.isEmpty {
      reading.findings.warning(
        .invalidValue, "this asks for a claim that is called \"\(entry.key.value)\"", at: value.range,
        hint: "for several requirements write \(entry.key.value): [{role: admin}, {is_staff: true}]")
    }
    let values = value.items.compactMap(self.value)
    let captures = zip(value.items, value.items.map(capture)).compactMap { item, name in
      name.map { Located($0, at: item.range) }
    }
    return (.claim(ClaimRequirement(claim: entry.key.value, values: values)), captures)
  }

  private func value(_ node: Node) -> ClaimRequirement.Value? {
    guard node.bracedName == nil else { return reportBraces(node) }
    if let name = capture(node) { return .capture(name) }
    if case .scalar(let scalar) = node.content, !scalar.isUnusable,
      let place = scalar.text.firstMatch(of: /\{[^{}]+\}/)
    {
      return reading.refuse(
        .invalidValue,
        "\"require\" compares a claim with a whole capture, or with a fixed text: this would be the text \"\(scalar.text)\"",
        at: node.range,
        hint: "write \"\(Self.plain(String(place.output)))\" alone, and put the same text into the claim")
    }
    return .constant(reading.json(node))
  }

  /// A place without its form: what is compared is not escaped.
  private static func plain(_ place: String) -> String {
    place.firstIndex(of: "|").map { place[..<$0] + "}" } ?? place
  }

  /// The capture that a claim is compared with: `"{room}"`.
  private func capture(_ node: Node) -> String? {
    guard case .scalar(let scalar) = node.content, !scalar.isUnusable else { return nil }
    return scalar.text.wholeMatch(of: /\{([A-Za-z_][A-Za-z0-9_]*)\}/).map { String($0.output.1) }
  }

  private func reportBraces<Value>(_ node: Node) -> Value? {
    _ = reading.reportBraces(node)
    return nil
  }
}
