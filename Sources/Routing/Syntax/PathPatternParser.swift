import Bytes

/// Reads Django's `path()` notation: literal text, and captures `<name>` or `<converter:name>`.
struct PathPatternParser {
  private let text: String
  private let bytes: [UInt8]

  init(_ text: String) {
    self.text = text
    bytes = Array(text.utf8)
  }

  func parse(_ role: RoutePattern.Role) throws(PatternFault) -> RoutePattern {
    var parts: [Expression] = [.start]
    var captures: [RoutePattern.Capture] = []
    var index = 0
    while index < bytes.count {
      guard bytes[index] == UInt8(ascii: "<") else {
        let end = bytes[index...].firstIndex(of: UInt8(ascii: "<")) ?? bytes.count
        parts.append(.text(string(index..<end)))
        index = end
        continue
      }
      guard let close = bytes[index...].firstIndex(of: UInt8(ascii: ">")) else {
        throw PatternFault(.invalid, "\"<\" is not closed by \">\"", at: index..<bytes.count)
      }
      let capture = try capture(index..<(close + 1))
      if captures.contains(where: { $0.name == capture.name }) {
        throw .takenName(capture.name, at: index..<(close + 1))
      }
      parts.append(.capture(captures.count, capture.expression))
      captures.append(capture)
      index = close + 1
    }
    if role == .endpoint { parts.append(.end) }
    return RoutePattern(text: text, syntax: .path, captures: captures, expression: .sequence(parts))
  }

  /// - Parameter range: includes the angle brackets.
  func capture(_ range: Range<Int>) throws(PatternFault) -> RoutePattern.Capture {
    let inner = string((range.lowerBound + 1)..<(range.upperBound - 1))
    if inner.contains(where: \.isWhitespace) {
      throw PatternFault(.invalid, "a capture cannot contain white space", at: range)
    }
    let words = inner.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let name = words[words.count - 1]
    guard isIdentifier(name) else { throw .badName(name, at: range) }
    let kind = words.count == 2 ? words[0] : "str"
    guard let converter = PathConverter(rawValue: kind) else {
      let known = PathConverter.allCases.map(\.rawValue).joined(separator: ", ")
      throw PatternFault(
        .invalid, "there is no converter \"\(kind)\"", hint: "use one of \(known)", at: range)
    }
    return RoutePattern.Capture(name: name, converter: converter, expression: converter.expression)
  }

  private func string(_ range: Range<Int>) -> String {
    String(decoding: bytes[range], as: UTF8.self)
  }
}

/// A Python identifier of ASCII characters.
func isIdentifier(_ text: some StringProtocol) -> Bool {
  text.utf8.first?.isDigit == false && text.utf8.allSatisfy { $0.isLetterOrDigit || $0 == UInt8(ascii: "_") }
}
