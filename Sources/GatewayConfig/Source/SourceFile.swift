import Bytes

/// One file of the configuration: its name as the operator wrote it, and its text.
///
/// Findings quote its lines; nodes refer to places in it.
package final class SourceFile: Sendable {
  /// As given on the command line or in an `include`, relative to the working directory if possible.
  package let path: String
  package let text: [UInt8]
  /// The byte offset at which each line starts; line 1 starts at `lineStarts[0]`. Lines end as in editors: with a line feed,
  /// a carriage return, or both.
  package let lineStarts: [Int]
  /// The same in characters.
  private let lineStartCharacters: [Int]
  private let characterCount: Int
  /// The byte offset of every character whose number is a multiple of `Self.stride`.
  private let checkpoints: [Int]

  private static let stride = 256

  package init(path: String, text: [UInt8]) {
    self.path = path
    self.text = text
    var starts = [0]
    var characterStarts = [0]
    var characters = 0
    var checkpoints: [Int] = []
    for (offset, byte) in text.enumerated() {
      if !byte.continuesCharacter {
        if characters.isMultiple(of: Self.stride) { checkpoints.append(offset) }
        characters += 1
      }
      let isReturn =
        byte == UInt8(ascii: "\r") && (offset + 1 == text.count || text[offset + 1] != UInt8(ascii: "\n"))
      guard byte == UInt8(ascii: "\n") || isReturn else { continue }
      starts.append(offset + 1)
      characterStarts.append(characters)
    }
    lineStarts = starts
    lineStartCharacters = characterStarts
    characterCount = characters
    self.checkpoints = checkpoints
  }

  /// The number of characters in a line of the file, without its end.
  func characterCount(ofLine number: Int) -> Int {
    let end = number < lineStarts.count ? lineStartCharacters[number] : characterCount
    let content = bytes(ofLine: number)
    let next = number < lineStarts.count ? lineStarts[number] : text.count
    // Line ends consist of single-byte characters.
    return end - lineStartCharacters[number - 1] - (next - content.upperBound)
  }

  /// A part of a line of the file, in characters from its start. Found without reading the whole line.
  func text(ofLine number: Int, _ part: Range<Int>) -> String {
    let line = bytes(ofLine: number)
    let first = lineStartCharacters[number - 1]
    let start = offset(ofCharacter: first + part.lowerBound)
    let end = offset(ofCharacter: first + part.upperBound)
    return String(
      decoding: text[max(start, line.lowerBound)..<min(max(end, start), line.upperBound)], as: UTF8.self)
  }

  /// The bytes of a line, without its end.
  func bytes(ofLine number: Int) -> Range<Int> {
    let start = lineStarts[number - 1]
    var end = number < lineStarts.count ? lineStarts[number] : text.count
    while end > start, text[end - 1] == UInt8(ascii: "\n") || text[end - 1] == UInt8(ascii: "\r") { end -= 1 }
    return start..<end
  }

  /// The byte offset of a character, counted from the start of the file.
  private func offset(ofCharacter index: Int) -> Int {
    guard index < characterCount else { return text.count }
    var offset = checkpoints[index / Self.stride]
    var missing = index % Self.stride
    while missing > 0 {
      offset += 1
      if !text[offset].continuesCharacter { missing -= 1 }
    }
    return offset
  }

  /// The place of a character, counted from the start of the file.
  package func position(ofCharacter index: Int) -> SourcePosition {
    let line = lineStartCharacters.partitionPoint { $0 <= index }
    return SourcePosition(line: line, column: index - lineStartCharacters[line - 1] + 1)
  }
}

/// A place in a file. Lines and columns count from 1; columns count characters (Unicode scalars), as editors do.
package struct SourcePosition: Sendable, Hashable {
  package var line: Int
  package var column: Int
}

/// A range of one file, from its first character to just after its last one.
package struct SourceRange: Sendable, Hashable {
  package var file: SourceFile
  package var start: SourcePosition
  package var end: SourcePosition

  var isInOneLine: Bool { start.line == end.line }

  package static func == (one: SourceRange, other: SourceRange) -> Bool {
    one.file === other.file && one.start == other.start && one.end == other.end
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(ObjectIdentifier(file))
    hasher.combine(start)
    hasher.combine(end)
  }
}

/// A value and the place the operator wrote it at.
package struct Located<Value> {
  package var value: Value
  package var range: SourceRange

  package init(_ value: Value, at range: SourceRange) {
    self.value = value
    self.range = range
  }
}

extension SourceRange {
  /// The range before one character.
  init(file: SourceFile, at place: SourcePosition) {
    self.init(file: file, start: place, end: place)
  }
}

extension Located: Sendable where Value: Sendable {}
extension Located: Equatable where Value: Equatable {}
extension Located: Hashable where Value: Hashable {}
