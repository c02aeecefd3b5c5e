/// Reads `history: {messages: N, seconds: S}`.
enum HistoryReader {
  static func read(_ node: Node, _ reading: Reading) -> HistoryConfiguration? {
    guard let mapping = MappingCursor(node, .history, reading, shape: "history: {messages: 100}") else {
      return nil
    }
    let isThere = mapping.required("messages", hint: "history: {messages: 100}") != nil
    let count = isThere ? mapping.integer("messages") : nil
    let age = mapping.value("seconds").flatMap { readAge($0, mapping) }
    mapping.finish()
    guard let count else { return nil }
    return age.map { HistoryConfiguration(messages: count, age: $0) } ?? HistoryConfiguration(messages: count)
  }

  /// The key names the unit, so a bare number is enough; `1h` works as well.
  private static func readAge(_ node: Node, _ mapping: MappingCursor) -> Duration? {
    if case .scalar(let scalar) = node.content, !scalar.text.isEmpty,
      scalar.text.allSatisfy({ $0.isASCII && $0.isNumber })
    {
      return mapping.integer("seconds").map { .seconds($0) }
    }
    return mapping.duration("seconds")
  }
}
