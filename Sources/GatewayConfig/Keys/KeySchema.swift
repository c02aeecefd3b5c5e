import JSON

/// A JSON Schema of a file, for editors and other tools that know YAML only.
///
/// It keeps to the vocabulary of draft-07, which is what the YAML language server reads, and to what later drafts read in the same
/// way. So that an unknown key is found, each mapping is one object with all its properties and `additionalProperties: false`. A
/// schema finds fewer faults than `validate`: it follows no name, no include and no pattern.
package enum KeySchema: String, Sendable, CaseIterable {
  /// The configuration itself.
  case routes
  /// A file that `include` names at a route.
  case include
  /// The `app.yaml` of a local app.
  case app
  /// A file that is laid over the configuration, or that `include` names at the top level: nothing is required in it, and `null`
  /// removes a key.
  case part

  /// The schema as text, with a line for each member.
  package var text: String { schema.indented + "\n" }

  private var schema: JSON {
    let head: JSON = ["$schema": "http://json-schema.org/draft-07/schema#", "title": .string(title)]
    return head.with(schema(of: value, alone: true)).with(["definitions": definitions])
  }

  private var title: String {
    switch self {
    case .routes: "The configuration of Sluice"
    case .include: "Routes of Sluice, for include"
    case .app: "A local app of Sluice"
    case .part: "A part of the configuration of Sluice"
    }
  }

  private var value: KeyValue {
    switch self {
    case .routes, .part: .mapping(.file)
    case .include:
      .either([
        .list(.mapping(.webSocketRoute)), .mapping(.webSocketRoutes), .list(.mapping(.httpRoute)),
        .mapping(.httpRoutes),
      ])
    case .app: .mapping(.app)
    }
  }

  // MARK: - Definitions

  private static let variable: JSON = [
    "description": "Text with ${VARIABLE}, which comes from the environment.", "type": "string",
    "pattern": #"\$\{"#,
  ]

  /// The mappings that the file can hold, and what stands for text from the environment.
  private var definitions: JSON {
    var found: Set<KeyPlace> = []
    var open = value.places
    while let place = open.popLast() {
      guard found.insert(place).inserted else { continue }
      open += Key.at(place).flatMap(\.value.places)
    }
    return .object(
      [.init(key: "variable", value: Self.variable)]
        + KeyPlace.all.filter(found.contains).map { .init(key: $0.name, value: definition(of: $0)) })
  }

  private func definition(of place: KeyPlace) -> JSON {
    let keys = Key.at(place)
    var schema: JSON = [
      "type": "object",
      "properties": .object(keys.map { .init(key: $0.name, value: property($0, at: place)) }),
      "additionalProperties": false,
    ]
    // What a part does not say, another file may.
    let isWhole = self != .part || place.isRoute
    let needed = keys.filter { $0.required.contains(place) && ($0.consumers == nil || place == .preset) }
    if isWhole, !needed.isEmpty { schema = schema.with(required(needed.map(\.name))) }
    if isWhole, !place.alternatives.isEmpty {
      schema = schema.with(["oneOf": .array(place.alternatives.map(required))])
    }
    let rules = isWhole ? rules(of: place) : []
    return rules.isEmpty ? schema : schema.with(["allOf": .array(rules)])
  }

  private func property(_ key: Key, at place: KeyPlace) -> JSON {
    let standard: JSON = key.standardValue.map { ["default": $0] } ?? [:]
    let meaning: JSON = ["description": .string(key.meaning.plain)]
    let value = self == .part && !place.isRoute ? KeyValue.either([key.value, .nothing]) : key.value
    return meaning.with(standard).with(schema(of: value, alone: true))
  }

  // MARK: - Rules between keys

  private func rules(of place: KeyPlace) -> [JSON] {
    var rules = besides(of: place)
    if place.isRoute {
      rules.append(["not": required(["path", "re_path"])])
      rules.append(["anyOf": .array(["path", "re_path", "include", "routes"].map { required([$0]) })])
    }
    if !Key.options(at: place).isEmpty { rules += ConsumerType.allCases.map { fit($0, at: place) } }
    if place == .channelLayer { rules += ChannelLayerReader.configPlaces.map(config) }
    return rules
  }

  /// Keys that stand beside others only: one of those is there, or none of these.
  private func besides(of place: KeyPlace) -> [JSON] {
    var rules: [(needs: [String], keys: [String])] = []
    for key in Key.at(place) where !key.needs.isEmpty {
      if let index = rules.firstIndex(where: { $0.needs == key.needs }) {
        rules[index].keys.append(key.name)
      } else {
        rules.append((key.needs, [key.name]))
      }
    }
    return rules.map { rule in
      ["anyOf": .array(rule.needs.map { required([$0]) } + [without(rule.keys)])]
    }
  }

  /// The options that a consumer has, and those that it needs where no preset can bring them.
  private func fit(_ type: ConsumerType, at place: KeyPlace) -> JSON {
    let options = Key.options(at: place)
    let strangers = options.filter { $0.consumers?.contains(type) == false }.map(\.name)
    let needed = options.filter { $0.isNeeded(by: type, at: place) }
    var fit = needed.isEmpty ? without(strangers) : without(strangers).with(required(needed.map(\.name)))
    if type == .view, place == .webSocketRoute {
      fit = fit.with(["anyOf": .array(["secret", "unsigned"].map { required([$0]) })])
    }
    return rule("consumer", is: [type.rawValue], fit)
  }

  private func config(_ place: KeyPlace, of backends: [String]) -> JSON {
    rule("backend", is: backends, ["properties": ["config": schema(of: .mapping(place), alone: true)]])
  }

  private func rule(_ key: String, is words: [String], _ then: JSON) -> JSON {
    let condition: JSON = ["properties": .object([.init(key: key, value: ["enum": list(words)])])]
    return ["if": condition.with(required([key])), "then": then]
  }

  private func required(_ names: [String]) -> JSON { ["required": list(names)] }

  private func without(_ names: [String]) -> JSON {
    ["properties": .object(names.map { .init(key: $0, value: false) })]
  }

  private func list(_ words: [String]) -> JSON { .array(words.map(JSON.string)) }

  // MARK: - Values

  /// - Parameter alone: whether nothing may stand beside it that it would hide: draft-07 ignores what is beside `$ref`.
  private func schema(of value: KeyValue, alone: Bool = false) -> JSON {
    let forms = forms(of: value)
    if forms.count == 1, !alone || forms[0]["$ref"] == nil { return forms[0] }
    return ["anyOf": .array(forms)]
  }

  private func forms(of value: KeyValue) -> [JSON] {
    let variable = reference("variable")
    var forms = ownForms(of: value)
    // Once for all forms, behind them.
    if forms.contains(variable) {
      forms.removeAll { $0 == variable }
      forms.append(variable)
    }
    return forms
  }

  private func ownForms(of value: KeyValue) -> [JSON] {
    func scalar(_ form: JSON) -> [JSON] { [form, reference("variable")] }
    return switch value {
    case .text: [["type": ["string", "number"]]]
    case .word: [["type": ["string", "number"], "minLength": .integer(1)]]
    case .only(let word): scalar(["const": .string(word)])
    case .choice(let words): scalar(["enum": .array(words.flatMap(readings))])
    case .truth: scalar(["type": "boolean"])
    case .integer(let least, let most):
      scalar(["type": "integer", "minimum": .number(least), "maximum": .number(most)])
    case .time: scalar(text("[0-9]+(ms|s|m|h|d)"))
    case .size: scalar(text("[0-9]+(B|KiB|MiB|GiB)"))
    case .form(let form, _): scalar(text(form))
    case .nothing: [["type": "null"]]
    case .json: [[:]]
    case .mapping(let place): [reference(place.name)]
    case .list(let item, 0): [["type": "array", "items": schema(of: item)]]
    case .list(let item, let least):
      [["type": "array", "items": schema(of: item), "minItems": .number(least)]]
    case .named(let item):
      [
        [
          "type": "object",
          "additionalProperties": schema(of: self == .part ? .either([item, .nothing]) : item),
        ]
      ]
    case .either(let forms): forms.flatMap(ownForms)
    }
  }

  /// What YAML readers make of a word without quotes.
  private func readings(_ word: String) -> [JSON] {
    switch word {
    case "true": [.string(word), true]
    case "false": [.string(word), false]
    default: Double(word).map { [.string(word), .double($0)] } ?? [.string(word)]
    }
  }

  private func text(_ pattern: String) -> JSON {
    ["type": "string", "pattern": .string("^(\(pattern))$")]
  }

  private func reference(_ name: String) -> JSON { ["$ref": .string("#/definitions/\(name)")] }
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
  /// What holds without it, as it would be written, where that is one value.
  var standardWord: String? {
    guard standard.hasPrefix("`"), standard.hasSuffix("`"), standard.count(where: { $0 == "`" }) == 2,
      !standard.hasPrefix("`[")
    else { return nil }
    return String(standard.dropFirst().dropLast())
  }

  /// The same for a schema.
  fileprivate var standardValue: JSON? {
    guard let text = standardWord else { return nil }
    return switch text {
    case "true": true
    case "false": false
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
