extension JSON {
  /// The value at a path of members and list indices: `job.id`, `items.0`. A member whose own name has a dot goes first.
  package func value(at path: String) -> JSON? {
    if let value = step(path) { return value }
    guard let dot = path.firstIndex(of: ".") else { return nil }
    return step(String(path[..<dot]))?.value(at: String(path[path.index(after: dot)...]))
  }

  private func step(_ name: String) -> JSON? {
    switch self {
    case .object: self[name]
    case .array(let elements): JSONScanner.index(name, in: elements.count).map { elements[$0] }
    case .null, .bool, .integer, .unsigned, .double, .string: nil
    }
  }
}

extension JSONScanner {
  /// The range of the value at a path, as `JSON.value(at:)` finds it, in a text that is valid JSON; nil if there is none. If a member
  /// appears twice, the last one counts.
  package static func value(at path: String, of text: RawSpan) -> Range<Int>? {
    if let range = step(path, of: text) { return range }
    guard let dot = path.firstIndex(of: ".") else { return nil }
    guard let outer = step(String(path[..<dot]), of: text),
      let inner = value(at: String(path[path.index(after: dot)...]), of: text.extracting(outer))
    else { return nil }
    return (outer.lowerBound + inner.lowerBound)..<(outer.lowerBound + inner.upperBound)
  }

  private static func step(_ name: String, of text: RawSpan) -> Range<Int>? {
    if let range = try? member(name, of: text) { return range }
    guard let elements = try? elements(of: text) else { return nil }
    return index(name, in: elements.count).map { elements[$0] }
  }

  /// The index that a name stands for in a list of that length: digits without a leading zero.
  static func index(_ name: String, in count: Int) -> Int? {
    guard let index = Int(name), String(index) == name, (0..<count).contains(index) else { return nil }
    return index
  }
}
