/// What may stand behind a key.
package indirect enum KeyValue: Sendable {
  /// Any text.
  case text
  /// Text that is not empty.
  case word
  /// This word only, such as `none`.
  case only(String)
  /// One of these words.
  case choice([String])
  /// `true` or `false`.
  case truth
  case integer(from: Int, to: Int)
  /// A time with its unit.
  case time(from: Duration, to: Duration)
  /// A size with its unit.
  case size(from: ByteCount, to: ByteCount)
  /// Text that the regular expression matches, from its beginning to its end.
  case form(String, name: String)
  /// Nothing: `null` or `~`.
  case nothing
  /// Anything that JSON can hold.
  case json
  case mapping(KeyPlace)
  case list(KeyValue, atLeast: Int = 0)
  /// A mapping whose keys are names that the operator chooses.
  case named(KeyValue)
  case either([KeyValue])

  /// A secret, which is better not written into the file.
  static let secret = KeyValue.either([.text, .mapping(.secret)])

  static func choice<Choice: RawRepresentable<String> & CaseIterable>(of type: Choice.Type) -> KeyValue {
    .choice(type.allCases.map(\.rawValue))
  }

  /// One of these, or a list of them.
  static func oneOrMore(_ value: KeyValue) -> KeyValue { .either([value, .list(value, atLeast: 1)]) }

  /// The forms that it can have.
  var forms: [KeyValue] {
    if case .either(let forms) = self { forms.flatMap(\.forms) } else { [self] }
  }

  /// The range of its whole numbers; nil if it takes none.
  package var integers: ClosedRange<Int>? {
    forms.lazy.compactMap { if case .integer(let least, let most) = $0 { least...most } else { nil } }.first
  }

  /// The range of its times; nil if it takes none.
  package var times: ClosedRange<Duration>? {
    forms.lazy.compactMap { if case .time(let least, let most) = $0 { least...most } else { nil } }.first
  }

  /// The range of its sizes; nil if it takes none.
  package var sizes: ClosedRange<ByteCount>? {
    forms.lazy.compactMap { if case .size(let least, let most) = $0 { least...most } else { nil } }.first
  }
}

extension KeyValue {
  /// What can be written, in words: "a time from 1s to 1d, or none".
  package var words: String { forms.map(\.word).unique.joined(separator: ", or ") }

  private var word: String {
    switch self {
    case .text, .word: "a text"
    case .only(let word): word
    case .choice(let words): words.joined(last: "or")
    case .truth: "true or false"
    case .integer(let least, let most): "a whole number from \(least) to \(most)"
    case .time(let least, let most): "a time from \(least.written) to \(most.written)"
    case .size(let least, let most): "a size from \(least) to \(most)"
    case .form(_, let name): name
    case .nothing: "null"
    case .json: "any value"
    case .mapping(let place): "a mapping with \(Key.at(place).map(\.name).joined(separator: ", "))"
    case .list(.mapping, _): "a list of mappings"
    case .list: "a list"
    case .named: "a mapping with names of your own"
    case .either: words
    }
  }
}
