import JSON

/// A JSON Schema of a file, for editors and other tools that know YAML only.
///
/// It keeps to the vocabulary of draft-07, which is what the YAML language server reads, and to what later drafts read in the same
/// way. So that an unknown key is found, each mapping is one object with all its properties and `additionalProperties: false`. A
/// schema finds fewer faults than `validate`: it follows no name, no include and no pattern.
package enum KeySchema: String, Sendable, CaseIterable {
  /// The configuration itself.
  case routes
  /// A file that `include` names.
  case include
  /// The `app.yaml` of a local app.
  case app

  /// The schema as text, with a line for each member.
  package var text: String { schema.indented + "\n" }

  private var schema: JSON {
    var members: [JSON.Member] = [
      .init(key: "$schema", value: .string("http://json-schema.org/draft-07/schema#")),
      .init(key: "title", value: .string(title)),
    ]
    members += Self.schema(of: value, alone: true)
    members.append(.init(key: "definitions", value: .object(definitions)))
    return .object(members)
  }

  private var title: String {
    switch self {
    case .routes: "The configuration of Sluice"
    case .include: "Routes of Sluice, for include"
    case .app: "A local app of Sluice"
    }
  }

  private var value: KeyValue {
    switch self {
    case .routes: .mapping(.file)
    case .include:
      .either([
        .list(.mapping(.webSocketRoute)), .mapping(.webSocketRoutes), .list(.mapping(.httpRoute)),
        .mapping(.httpRoutes),
      ])
    case .app: .mapping(.app)
    }
  }

  // MARK: - Definitions

  private static let variable = JSON.object([
    .init(key: "description", value: .string("Text with ${VARIABLE}, which comes from the environment.")),
    .init(key: "type", value: .string("string")),
    .init(key: "pattern", value: .string(#"\$\{"#)),
  ])

  /// The mappings that the file can hold, and what stands for text from the environment.
  private var definitions: [JSON.Member] {
    var found: Set<KeyPlace> = []
    var open = value.places
    while let place = open.popLast() {
      guard found.insert(place).inserted else { continue }
      open += Key.at(place).flatMap(\.value.places)
    }
    return [.init(key: "variable", value: Self.variable)]
      + KeyPlace.all.filter(found.contains).map {
        .init(key: $0.name, value: Self.definition(of: $0))
      }
  }

  private static func definition(of place: KeyPlace) -> JSON {
    let keys = Key.at(place)
    var members: [JSON.Member] = [
      .init(key: "type", value: .string("object")),
      .init(
        key: "properties",
        value: .object(keys.map { .init(key: $0.name, value: .object(property($0))) })),
      .init(key: "additionalProperties", value: .bool(false)),
    ]
    let required = keys.filter { $0.required.contains(place) && ($0.consumers == nil || place == .preset) }
    if !required.isEmpty { members.append(self.required(required.map(\.name))) }
    if !place.alternatives.isEmpty {
      members.append(
        .init(key: "oneOf", value: .array(place.alternatives.map { .object([Self.required($0)]) })))
    }
    let rules = rules(of: place)
    if !rules.isEmpty { members.append(.init(key: "allOf", value: .array(rules))) }
    return .object(members)
  }

  private static func property(_ key: Key) -> [JSON.Member] {
    var members: [JSON.Member] = [.init(key: "description", value: .string(key.meaning.plain))]
    if let value = key.standardValue { members.append(.init(key: "default", value: value)) }
    return members + schema(of: key.value, alone: true)
  }

  // MARK: - Rules between keys

  private static func rules(of place: KeyPlace) -> [JSON] {
    var rules = besides(of: place)
    if place.isRoute {
      rules.append(.object([.init(key: "not", value: .object([required(["path", "re_path"])]))]))
      let sets = ["path", "re_path", "include", "routes"].map { JSON.object([required([$0])]) }
      rules.append(.object([.init(key: "anyOf", value: .array(sets))]))
    }
    if !Key.options(at: place).isEmpty { rules += InstalledApps.BuiltIn.allCases.map { fit($0, at: place) } }
    if place == .channelLayer { rules += ChannelLayerReader.configPlaces.map(config) }
    return rules
  }

  /// Keys that stand beside others only: one of those is there, or none of these.
  private static func besides(of place: KeyPlace) -> [JSON] {
    var rules: [(needs: [String], keys: [String])] = []
    for key in Key.at(place) where !key.needs.isEmpty {
      if let index = rules.firstIndex(where: { $0.needs == key.needs }) {
        rules[index].keys.append(key.name)
      } else {
        rules.append((key.needs, [key.name]))
      }
    }
    return rules.map { rule in
      let sets = rule.needs.map { JSON.object([required([$0])]) }
      return .object([.init(key: "anyOf", value: .array(sets + [.object([without(rule.keys)])]))])
    }
  }

  /// The options that a consumer has, and those that it needs where no preset can bring them.
  private static func fit(_ type: InstalledApps.BuiltIn, at place: KeyPlace) -> JSON {
    let options = Key.options(at: place)
    let strangers = options.filter { $0.consumers?.contains(type) == false }.map(\.name)
    let needed = options.filter { $0.required.contains(place) && $0.consumers?.contains(type) == true }
    var members = [without(strangers)]
    if !needed.isEmpty { members.append(required(needed.map(\.name))) }
    return rule("consumer", is: [type.rawValue], members)
  }

  private static func config(_ place: KeyPlace, of backends: [String]) -> JSON {
    rule(
      "backend", is: backends,
      [
        .init(
          key: "properties",
          value: .object([.init(key: "config", value: .object(schema(of: .mapping(place), alone: true)))]))
      ])
  }

  private static func rule(_ key: String, is words: [String], _ then: [JSON.Member]) -> JSON {
    let words = JSON.object([.init(key: "enum", value: .array(words.map(JSON.string)))])
    return .object([
      .init(
        key: "if",
        value: .object([
          .init(key: "properties", value: .object([.init(key: key, value: words)])), required([key]),
        ])),
      .init(key: "then", value: .object(then)),
    ])
  }

  private static func required(_ names: [String]) -> JSON.Member {
    .init(key: "required", value: .array(names.map(JSON.string)))
  }

  private static func without(_ names: [String]) -> JSON.Member {
    .init(key: "properties", value: .object(names.map { .init(key: $0, value: .bool(false)) }))
  }

  // MARK: - Values

  /// - Parameter alone: whether nothing may stand beside it that it would hide: draft-07 ignores what is beside `$ref`.
  private static func schema(of value: KeyValue, alone: Bool = false) -> [JSON.Member] {
    let forms = forms(of: value)
    if forms.count == 1, case .object(let members) = forms[0], !alone || members.first?.key != "$ref" {
      return members
    }
    return [.init(key: "anyOf", value: .array(forms))]
  }

  private static func forms(of value: KeyValue) -> [JSON] {
    let variable = JSON.object([reference("variable")])
    var forms = ownForms(of: value)
    // Once for all forms, behind them.
    if forms.contains(variable) {
      forms.removeAll { $0 == variable }
      forms.append(variable)
    }
    return forms
  }

  private static func ownForms(of value: KeyValue) -> [JSON] {
    func scalar(_ members: JSON.Member...) -> [JSON] {
      [.object(members), .object([reference("variable")])]
    }
    return switch value {
    case .text: [.object([type("string", "number")])]
    case .word: [.object([type("string", "number"), .init(key: "minLength", value: .integer(1))])]
    case .only(let word): scalar(.init(key: "const", value: .string(word)))
    case .choice(let words): scalar(.init(key: "enum", value: .array(words.flatMap(readings))))
    case .truth: scalar(.init(key: "type", value: .string("boolean")))
    case .integer(let least, let most):
      scalar(
        .init(key: "type", value: .string("integer")), .init(key: "minimum", value: .integer(Int64(least))),
        .init(key: "maximum", value: .integer(Int64(most))))
    case .time: scalar(type("string"), pattern("[0-9]+(ms|s|m|h|d)"))
    case .size: scalar(type("string"), pattern("[0-9]+(B|KiB|MiB|GiB)"))
    case .form(let text, _): scalar(type("string"), pattern(text))
    case .nothing: [.object([type("null")])]
    case .json: [.object([])]
    case .mapping(let place): [.object([reference(place.name)])]
    case .list(let item, let least):
      [
        .object(
          [type("array"), .init(key: "items", value: .object(schema(of: item)))]
            + (least > 0 ? [.init(key: "minItems", value: .integer(Int64(least)))] : []))
      ]
    case .named(let item):
      [.object([type("object"), .init(key: "additionalProperties", value: .object(schema(of: item)))])]
    case .either(let forms): forms.flatMap(ownForms)
    }
  }

  /// What YAML readers make of a word without quotes.
  private static func readings(_ word: String) -> [JSON] {
    switch word {
    case "true": [.string(word), .bool(true)]
    case "false": [.string(word), .bool(false)]
    default: Double(word).map { [.string(word), .double($0)] } ?? [.string(word)]
    }
  }

  private static func type(_ names: String...) -> JSON.Member {
    .init(key: "type", value: names.count == 1 ? .string(names[0]) : .array(names.map(JSON.string)))
  }

  private static func pattern(_ text: String) -> JSON.Member {
    .init(key: "pattern", value: .string("^(\(text))$"))
  }

  private static func reference(_ name: String) -> JSON.Member {
    .init(key: "$ref", value: .string("#/definitions/\(name)"))
  }
}

extension KeyValue {
  /// The mappings that can stand in it.
  fileprivate var places: [KeyPlace] {
    switch self {
    case .mapping(let place): [place]
    case .list(let value, _), .named(let value): value.places
    case .either(let forms): forms.flatMap(\.places)
    case .text, .word, .only, .choice, .truth, .integer, .time, .size, .form, .nothing, .json: []
    }
  }
}

extension Key {
  /// What holds without it, where that is one value.
  fileprivate var standardValue: JSON? {
    guard standard.hasPrefix("`"), standard.hasSuffix("`"), standard.count(where: { $0 == "`" }) == 2 else {
      return nil
    }
    let text = String(standard.dropFirst().dropLast())
    guard !text.hasPrefix("[") else { return nil }
    return switch text {
    case "true": .bool(true)
    case "false": .bool(false)
    default: value.integers != nil ? Int64(text).map(JSON.integer) ?? .string(text) : .string(text)
    }
  }
}

extension JSON {
  /// As text with a line for each member and item.
  fileprivate var indented: String {
    switch self {
    case .object(let members) where !members.isEmpty:
      Self.block("{", members.map { "\(JSON.string($0.key).text): \($0.value.indented)" }, "}")
    case .array(let items) where items.contains(where: \.isNested):
      Self.block("[", items.map(\.indented), "]")
    case .array(let items): "[\(items.map(\.text).joined(separator: ", "))]"
    case .null, .bool, .integer, .unsigned, .double, .string, .object: text
    }
  }

  private var isNested: Bool {
    switch self {
    case .array, .object: true
    case .null, .bool, .integer, .unsigned, .double, .string: false
    }
  }

  private static func block(_ open: String, _ lines: [String], _ close: String) -> String {
    let body = lines.map { "  " + $0.replacing("\n", with: "\n  ") }.joined(separator: ",\n")
    return "\(open)\n\(body)\n\(close)"
  }
}
