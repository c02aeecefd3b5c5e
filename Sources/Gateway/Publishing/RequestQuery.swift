import Bytes
import Sessions

/// The query of a request. Its values are asked for one by one, and any other parameter is an error.
struct RequestQuery {
  private let values: [(name: String, value: String)]
  private var known: [String] = []

  /// - Throws: if the query is not percent-encoded UTF-8, or has a name twice.
  init(_ text: String?) throws(PublishRefusal) {
    var values: [(name: String, value: String)] = []
    for parameter in NamedValue.parameters(of: text) {
      guard let name = Self.decoded(parameter.name), let value = Self.decoded(parameter.value ?? "") else {
        throw PublishRefusal(malformed: "the query is not percent-encoded UTF-8")
      }
      guard !values.contains(where: { $0.name == name }) else {
        throw PublishRefusal(malformed: "\"\(RequestObject.shown(name))\" appears twice in the query")
      }
      values.append((name, value))
    }
    self.values = values
  }

  private static func decoded(_ text: Substring) -> String? {
    PercentEncoding.decode(text.utf8, plus: .space).flatMap { String(validating: $0, as: UTF8.self) }
  }

  mutating func value(_ name: String) -> String? {
    known.append(name)
    return values.first { $0.name == name }?.value
  }

  mutating func integer(_ name: String, in range: ClosedRange<Int>) throws(PublishRefusal) -> Int? {
    guard let text = value(name) else { return nil }
    guard let number = Int(text), range.contains(number) else {
      throw PublishRefusal(
        malformed: "\"\(name)\" must be a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  func finish() throws(PublishRefusal) {
    guard let unknown = values.first(where: { !known.contains($0.name) }) else { return }
    throw PublishRefusal(unknown: "parameter", unknown.name, in: "the query", known: known)
  }
}
