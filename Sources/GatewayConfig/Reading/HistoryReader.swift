/// Reads `history: {messages: N, seconds: S}`.
enum HistoryReader {
  private static let messages = 1...100_000
  private static let longest = 30 * 86_400

  static func read(_ node: Node, _ reading: Reading) -> HistoryConfiguration? {
    guard let mapping = MappingCursor(node, "\"history\"", reading, shape: "history: {messages: 100}") else {
      return nil
    }
    let count = mapping.required("messages", hint: "history: {messages: 100}").flatMap {
      reading.integer($0, "\"messages\"", in: messages)
    }
    let age = mapping.value("seconds").flatMap { readAge($0, reading) }
    mapping.finish()
    guard let count else { return nil }
    return age.map { HistoryConfiguration(messages: count, age: $0) } ?? HistoryConfiguration(messages: count)
  }

  /// The key names the unit, so a bare number is enough; `1h` works as well.
  private static func readAge(_ node: Node, _ reading: Reading) -> Duration? {
    if case .scalar(let scalar) = node.content, !scalar.text.isEmpty,
      scalar.text.allSatisfy({ $0.isASCII && $0.isNumber })
    {
      return reading.integer(node, "\"seconds\"", in: 1...longest).map { .seconds($0) }
    }
    return reading.duration(node, "\"seconds\"", in: .seconds(1)...Duration.seconds(longest))
  }
}
