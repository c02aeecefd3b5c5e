import Bytes

/// The text of a file with the mistakes found so far removed, and the original places of its characters.
struct RepairedText {
  /// One change of the text.
  struct Edit {
    /// In bytes of the current text.
    var offset: Int
    var removed = 0
    var inserted = ""
  }

  /// From a character of the text on: the corresponding character before the repair.
  private struct Anchor {
    var character: Int
    var earlier: Int
  }

  let file: SourceFile
  private(set) var bytes: [UInt8]
  /// For each repair in order: the earlier places of the characters.
  private var repairs: [[Anchor]] = []

  init(_ file: SourceFile) {
    self.file = file
    bytes = file.text
  }

  /// Whether it is no longer the text of the file.
  var isRepaired: Bool { !repairs.isEmpty }

  /// Takes time in proportion to the text, however many edits there are.
  ///
  /// - Parameter edits: in order, without overlaps.
  mutating func apply(_ edits: [Edit]) {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var anchors: [Anchor] = []
    var copied = 0
    var (character, earlier) = (0, 0)
    for edit in edits {
      let kept = bytes[copied..<edit.offset]
      let removed = bytes[edit.offset..<(edit.offset + edit.removed)]
      result += kept
      result += Array(edit.inserted.utf8)
      let count = kept.characterCount
      character += count + edit.inserted.unicodeScalars.count
      earlier += count + removed.characterCount
      copied = edit.offset + edit.removed
      anchors.append(Anchor(character: character, earlier: earlier))
    }
    result += bytes[copied...]
    bytes = result
    repairs.append(anchors)
  }

  /// The place in the file of a character of the text.
  func position(ofCharacter index: Int) -> SourcePosition {
    var index = index
    for anchors in repairs.reversed() { index = Self.earlier(index, anchors) }
    return file.position(ofCharacter: index)
  }

  private static func earlier(_ index: Int, _ anchors: [Anchor]) -> Int {
    let next = anchors.partitionPoint { $0.character <= index }
    let before = next > 0 ? anchors[next - 1] : Anchor(character: 0, earlier: 0)
    // Inserted text has the place of the next character.
    let limit = next < anchors.count ? anchors[next].earlier : Int.max
    return min(before.earlier + index - before.character, limit)
  }

  func position(ofByte offset: Int) -> SourcePosition {
    position(ofCharacter: bytes[..<offset].characterCount)
  }

  /// The byte at which a character begins.
  func offset(ofCharacter index: Int) -> Int {
    bytes.indices.lazy.filter { !bytes[$0].continuesCharacter }.dropFirst(index).first ?? bytes.count
  }

  /// The line around a byte, without its end.
  func line(at offset: Int) -> Range<Int> {
    var start = min(offset, bytes.count)
    while start > 0, !Self.isLineEnd(bytes[start - 1]) { start -= 1 }
    var end = min(offset, bytes.count)
    while end < bytes.count, !Self.isLineEnd(bytes[end]) { end += 1 }
    return start..<end
  }

  /// The nearest earlier line with more than spaces and a comment.
  func contentLine(before line: Range<Int>) -> Range<Int>? {
    var start = line.lowerBound
    while start > 0 {
      let earlier = self.line(at: start - 1)
      if hasContent(earlier) { return earlier }
      start = earlier.lowerBound
    }
    return nil
  }

  /// The nearest later line with more than spaces and a comment.
  func contentLine(after line: Range<Int>) -> Range<Int>? {
    var end = line.upperBound
    while end < bytes.count {
      let later = self.line(at: end + 1)
      if hasContent(later) { return later }
      end = max(later.upperBound, end + 1)
    }
    return nil
  }

  private func hasContent(_ line: Range<Int>) -> Bool {
    let first = bytes[line].first { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }
    return first != nil && first != UInt8(ascii: "#")
  }

  private static func isLineEnd(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r")
  }
}
