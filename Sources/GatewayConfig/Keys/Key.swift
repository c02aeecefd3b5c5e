/// One key of the configuration: its name, where it may stand, what value it takes, and what it means.
///
/// Everything that knows keys goes by `Key.all`: the readers, their hints, the schemas, and the pages of the manual.
package struct Key: Sendable {
  package var name: String
  /// The mappings that it may stand in. The reference shows it at the first.
  package var places: [KeyPlace]
  package var value: KeyValue
  /// The mappings that it must stand in.
  package var required: [KeyPlace]
  /// Whether it says what a route does. A route has exactly one such key.
  package var isAction: Bool
  /// The keys of which one must stand beside it; empty if it may stand alone.
  package var needs: [String]
  /// The consumers that it is an option of; nil if it belongs to none of them.
  var consumers: [ConsumerType]?
  /// Those of them that can do without it where it is required.
  var spareConsumers: [ConsumerType] = []
  /// What `explain` says of its value, if it is declared as a `RouteOption`; nil if it is not.
  var optionText: (@Sendable (RouteOptions) -> String?)?
  /// Whether two have the same value of it, if it is declared as a `RouteOption`; nil if it is not.
  var isSameOption: (@Sendable (RouteOptions, RouteOptions) -> Bool)?
  /// What holds without it, as the reference says it; empty if that needs no words.
  package var standard: String
  /// What follows "belongs" in the hint for whoever writes it elsewhere; nil if its first place says it.
  var home: String?
  /// What it means, in Markdown. The first sentence can stand alone.
  package var meaning: String

  init(
    _ name: String, _ places: [KeyPlace], _ value: KeyValue, required: [KeyPlace] = [],
    isAction: Bool = false, needs: [String] = [], of consumers: [ConsumerType]? = nil,
    standard: String = "", home: String? = nil, _ meaning: String
  ) {
    self.name = name
    self.places = places
    self.value = value
    self.required = required
    self.isAction = isAction
    self.needs = needs
    self.consumers = consumers
    self.standard = standard
    self.home = home
    self.meaning = meaning
  }

  /// The same key, which some consumers can do without where it is required.
  func sparing(_ consumers: ConsumerType...) -> Key {
    var key = self
    key.spareConsumers = consumers
    return key
  }

  /// Whether a consumer needs it.
  func isNeeded(by type: ConsumerType, at place: KeyPlace) -> Bool {
    required.contains(place) && consumers?.contains(type) == true && !spareConsumers.contains(type)
  }

  static func shown(_ value: Duration) -> String { "`\(value.written)`" }

  /// A default as the reference shows it.
  static func shown(_ value: some CustomStringConvertible) -> String { "`\(value)`" }

  /// Every key, in the order of the reference.
  package static let all: [Key] =
    topLevel + server + limits + routes + options + messages + view + actions + settings + receiving
    + authentication
    + layers

  /// The keys of each mapping.
  private static let byPlace: [KeyPlace: [Key]] = {
    var keys: [KeyPlace: [Key]] = [:]
    for key in all { for place in key.places { keys[place, default: []].append(key) } }
    return keys
  }()

  /// The keys that may stand in a mapping.
  package static func at(_ place: KeyPlace) -> [Key] { byPlace[place] ?? [] }

  package static func named(_ name: String, at place: KeyPlace) -> Key? {
    at(place).first { $0.name == name }
  }

  /// The range that is declared for a key: of its whole numbers, times or sizes.
  static func range<Bound>(
    of name: String, at place: KeyPlace, _ kind: KeyPath<KeyValue, ClosedRange<Bound>?>
  ) -> ClosedRange<Bound> {
    guard let range = named(name, at: place)?.value[keyPath: kind] else {
      preconditionFailure("\(name) of \(place.what) has no such range")
    }
    return range
  }

  /// The actions of a route.
  static func actions(at place: KeyPlace) -> [String] { at(place).filter(\.isAction).map(\.name) }

  /// The options of consumers that may stand beside `consumer`, in a route or in a preset.
  static func options(at place: KeyPlace) -> [Key] { at(place).filter { $0.consumers != nil } }

  /// The names of the keys that may stand in a mapping whatever is beside them.
  static func names(at place: KeyPlace) -> Set<String> { namesByPlace[place] ?? [] }

  private static let namesByPlace = byPlace.mapValues { Set($0.filter(\.needs.isEmpty).map(\.name)) }

  /// The keys that may stand in a mapping only beside others.
  static func dependent(at place: KeyPlace) -> [Key] { dependentByPlace[place] ?? [] }

  private static let dependentByPlace = byPlace.mapValues { $0.filter { !$0.needs.isEmpty } }

  /// Where each key belongs, by its name: what follows "belongs". A name with several meanings and no place of its own has none.
  static let homes = Dictionary(grouping: all, by: \.name).compactMapValues { keys -> String? in
    let places = Set(keys.map { $0.places.first?.belonging })
    return keys.lazy.compactMap(\.home).first ?? (places.count == 1 ? places.first.flatMap(\.self) : nil)
  }

  /// The whole name from the top of the file: `limits.ping`.
  package var path: String { (places.first?.path ?? "") + name }
}
