package import JSON

extension EffectiveConfiguration {
  /// For programs: `configuration`, and in `origins` the origin of each value by its place as a JSON pointer (RFC 6901).
  package var json: JSON {
    var origins: [JSON.Member] = []
    Self.add(root, at: "", to: &origins)
    return [
      "name": .string(written.name),
      "files": .array(written.source.files.map(\.json)), "sha256": .string(written.source.digest),
      "configuration": root.json ?? [:], "origins": .object(origins),
      "kept": .array(written.kept.map { .string($0) }),
    ]
  }

  private static func add(_ value: EffectiveValue, at pointer: String, to origins: inout [JSON.Member]) {
    switch value.content {
    case .words: break
    case .scalar: origins.append(.init(key: pointer, value: value.jsonOrigin))
    case .list(let items):
      for (index, item) in items.enumerated() { add(item, at: "\(pointer)/\(index)", to: &origins) }
    case .mapping(let entries):
      for (key, inner) in entries {
        let name = key.replacing("~", with: "~0").replacing("/", with: "~1")
        add(inner, at: "\(pointer)/\(name)", to: &origins)
      }
    }
  }
}

extension EffectiveValue {
  /// Nil for what is only said in words.
  fileprivate var json: JSON? {
    switch content {
    case .words: nil
    case .scalar(let scalar): Self.json(scalar, declared)
    case .list(let items): .array(items.compactMap(\.json))
    case .mapping(let entries):
      .object(entries.compactMap { key, value in value.json.map { JSON.Member(key: key, value: $0) } })
    }
  }

  /// A number, a truth value or null where one may stand; otherwise text.
  private static func json(_ scalar: EffectiveScalar, _ declared: KeyValue?) -> JSON {
    guard scalar.isPlain else { return .string(scalar.text) }
    // In a template, anything is what YAML reads it as.
    let isTemplate = declared?.forms.contains { if case .json = $0 { true } else { false } } ?? true
    let takesTruth = declared?.forms.contains { if case .truth = $0 { true } else { false } } ?? true
    let takesNull = declared?.forms.contains { if case .nothing = $0 { true } else { false } } ?? true
    if isTemplate || takesTruth, let truth = ["true": true, "false": false][scalar.text] {
      return .bool(truth)
    }
    if isTemplate || takesNull, ["null", "~", ""].contains(scalar.text) { return .null }
    if isTemplate || declared?.integers != nil, let number = Int64(scalar.text) { return .integer(number) }
    return .string(scalar.text)
  }

  fileprivate var jsonOrigin: JSON {
    var members: JSON =
      switch origin {
      case .place(let range):
        [
          "source": "file", "path": .string(range.file.path), "line": .number(range.start.line),
          "column": .number(range.start.column),
        ]
      case .standard: ["source": "default"]
      case .option(let name): ["source": "option", "option": .string(name)]
      }
    guard case .scalar(let scalar) = content else { return members }
    if let variable = scalar.variable {
      members = members.with([
        "variable": .string(variable.variable), "is_default": .bool(variable.isDefault),
      ])
    }
    return scalar.concealed == .nothing ? members : members.with(["hidden": .string("\(scalar.concealed)")])
  }
}
