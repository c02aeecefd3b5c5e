import Bytes
import ChannelLayers
import JSON

/// The members of one message that is a JSON object. The whole text has been checked, and values stay as they were written.
struct FrameMembers {
  private let members: [(key: String, value: Range<Int>)]

  /// Nil for a text that is no JSON object.
  init?(_ payload: RawSpan) {
    guard let members = try? JSONScanner.members(of: payload) else { return nil }
    self.members = members
  }

  /// The range of a member, or of a value within one: `x.y`, `items.0`. A member whose own name has a dot goes first; if one appears
  /// twice, the last one counts.
  func range(of path: String, in payload: RawSpan) -> Range<Int>? {
    if let range = member(path) { return range }
    guard let dot = path.firstIndex(of: "."), let outer = member(String(path[..<dot])),
      let inner = JSONScanner.value(
        at: String(path[path.index(after: dot)...]), of: payload.extracting(outer))
    else { return nil }
    return (outer.lowerBound + inner.lowerBound)..<(outer.lowerBound + inner.upperBound)
  }

  private func member(_ name: String) -> Range<Int>? {
    let name = ExactText(text: name)
    return members.last { ExactText(text: $0.key) == name }?.value
  }

  /// The value at a path as an event carries it; nil if there is none.
  func value(at path: String, in payload: RawSpan) -> EventValue? {
    range(of: path, in: payload).map { EventValue(json: payload.extracting($0)) }
  }
}

extension EventValue {
  /// The value that valid JSON text stands for. Lists and objects stay as they were written.
  init(json text: RawSpan) {
    if let string = JSONScanner.string(text) {
      self = .text(Array(string.utf8))
    } else if text[0] != UInt8(ascii: "{"), text[0] != UInt8(ascii: "["), let value = try? JSON.parse(text) {
      self = .json(value)
    } else {
      // Also a number that no type of ours holds.
      self = .encodedJSON([UInt8](copying: text))
    }
  }
}
