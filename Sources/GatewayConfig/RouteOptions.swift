/// An option of WebSocket routes that is a single value: true or false, a whole number, a time or a size.
///
/// It is declared in `Key+Routes.swift`, and asked for where it matters: `options[.identity]`. Nothing in between names it.
package struct RouteOption<Value: Sendable & Equatable>: Sendable {
  let name: String
  /// What holds where neither the route nor its preset has the option.
  let standard: Value
  /// What `explain` says of a route that has the option; nil for the value itself.
  var sentence: String?

  /// A value as it is written in the file.
  fileprivate static func written(_ value: Value) -> String { (value as? Duration)?.written ?? "\(value)" }
}

/// The options of a WebSocket route, those of its preset included, that are single values.
///
/// They are asked for when a route is made ready, not for each message.
package struct RouteOptions: Sendable {
  private var values: [String: any Sendable] = [:]

  package subscript<Value>(option: RouteOption<Value>) -> Value {
    get { values[option.name] as? Value ?? option.standard }
    set { values[option.name] = newValue }
  }

  /// The lines of `explain`: each option that is not as it is without a word about it, and what it means.
  package var explained: [(name: String, text: String)] {
    Key.all.compactMap { key in key.optionText?(self).map { (key.name, $0) } }
  }

  /// The names of the options whose values are others.
  func differing(from other: RouteOptions) -> [String] {
    Key.all.compactMap { key in key.isSameOption.flatMap { $0(self, other) ? nil : key.name } }
  }

  /// Reads the value of a key that is declared as an option; of others nothing is read.
  mutating func read(_ node: Node, of key: Key, _ reading: Reading) {
    guard key.optionText != nil else { return }
    let what = "\"\(key.name)\""
    let value: (any Sendable)? =
      if let times = key.value.times {
        reading.duration(node, what, in: times)
      } else if let sizes = key.value.sizes {
        reading.byteCount(node, what, in: sizes)
      } else if let integers = key.value.integers {
        reading.integer(node, what, in: integers)
      } else {
        reading.truth(node, what)
      }
    if let value { values[key.name] = value }
  }
}

extension Key {
  /// An option of consumers that is a single value.
  init<Value>(
    _ option: RouteOption<Value>, _ value: KeyValue, of consumers: [ConsumerType] = ConsumerType.allCases,
    home: String? = nil, _ meaning: String
  ) {
    self.init(
      option.name, [.webSocketRoute, .preset], value, needs: ["consumer"], of: consumers,
      standard: "`\(RouteOption.written(option.standard))`", home: home, meaning)
    isSameOption = { $0[option] == $1[option] }
    optionText = { options in
      let value = options[option]
      return value == option.standard ? nil : option.sentence ?? RouteOption.written(value)
    }
  }
}
