import Bytes

/// Finds one member of a JSON object without building values, for text that is passed on unchanged.
package enum JSONScanner {
  /// The range of the value of the member `name`; nil if the object has no such member.
  ///
  /// The whole text is checked, exactly as strictly as by `JSON.parse`. If the member appears twice, the last one counts.
  ///
  /// - Throws: `JSONFault` for a text that is not JSON, or not an object.
  package static func member(
    _ name: String, of text: RawSpan, depth: Int = 64
  ) throws(JSONFault) -> Range<Int>? {
    var reader = JSONReader(depth: depth)
    try reader.expect(UInt8(ascii: "{"), "an object", text)
    var found: Range<Int>?
    try reader.eachMember(text) { (reader, text) throws(JSONFault) in
      let start = reader.position
      let hasEscapes = try reader.skipString(text)
      let matches = isName(name, text, start..<reader.position, hasEscapes)
      try reader.skipColon(text)
      reader.skipSpace(text)
      let valueStart = reader.position
      try reader.skipValue(text)
      if matches { found = valueStart..<reader.position }
    }
    try reader.end(text)
    return found
  }

  /// The name of an object's first member, without checking the text after it. Nil if the text does not begin as an object with
  /// a member.
  package static func firstName(of text: RawSpan) -> String? {
    var reader = JSONReader(depth: 1)
    reader.skipSpace(text)
    guard reader.byte(text) == UInt8(ascii: "{") else { return nil }
    reader.position += 1
    reader.skipSpace(text)
    guard reader.byte(text) == UInt8(ascii: "\"") else { return nil }
    return try? reader.readKey(text)
  }

  /// The names of an object's members and the ranges of their values, in their order. A name may appear twice.
  ///
  /// The whole text is checked as by `member`.
  package static func members(
    of text: RawSpan, depth: Int = 64
  ) throws(JSONFault) -> [(key: String, value: Range<Int>)] {
    var reader = JSONReader(depth: depth)
    try reader.expect(UInt8(ascii: "{"), "an object", text)
    var members: [(key: String, value: Range<Int>)] = []
    members.reserveCapacity(usualMembers)
    try reader.eachMember(text) { (reader, text) throws(JSONFault) in
      let key = try reader.readKey(text)
      try reader.skipColon(text)
      members.append((key, try reader.rangeOfValue(text)))
    }
    try reader.end(text)
    return members
  }

  /// Most objects have no more members, and their list is allocated once.
  private static let usualMembers = 4

  /// The string that a text consists of; nil for anything else.
  package static func string(_ text: RawSpan) -> String? {
    var reader = JSONReader(depth: 1)
    guard reader.byte(text) == UInt8(ascii: "\""), let string = try? reader.readString(text),
      reader.position == text.byteCount
    else { return nil }
    return string
  }

  /// The ranges of the elements of an array.
  package static func elements(of text: RawSpan, depth: Int = 64) throws(JSONFault) -> [Range<Int>] {
    var reader = JSONReader(depth: depth)
    try reader.expect(UInt8(ascii: "["), "a list", text)
    var elements: [Range<Int>] = []
    try reader.eachElement(text) { (reader, text) throws(JSONFault) in
      elements.append(try reader.rangeOfValue(text))
    }
    try reader.end(text)
    return elements
  }

  private static func isName(
    _ name: String, _ text: RawSpan, _ quoted: Range<Int>, _ hasEscapes: Bool
  ) -> Bool {
    guard !hasEscapes else {
      var reader = JSONReader(depth: 1)
      // The string has been checked, so reading it cannot fail.
      guard let written = try? reader.readString(text.extracting(quoted)) else { return false }
      return ExactText(text: written) == ExactText(text: name)
    }
    let inner = text.extracting((quoted.lowerBound + 1)..<(quoted.upperBound - 1))
    guard inner.byteCount == name.utf8.count else { return false }
    var index = 0
    for byte in name.utf8 {
      guard inner[index] == byte else { return false }
      index += 1
    }
    return true
  }
}

extension JSONReader {
  /// Throws unless the next value has the expected type, and so begins with that byte. If it is not JSON at all, that is the fault.
  fileprivate mutating func expect(_ first: UInt8, _ kind: String, _ text: RawSpan) throws(JSONFault) {
    skipSpace(text)
    guard byte(text) != first else { return }
    let (found, start) = (self.kind(text), position)
    try skipValue(text)
    throw JSONFault(message: "\(found), not \(kind),", offset: start, isOfJSON: true)
  }

  /// Checks the next value.
  fileprivate mutating func rangeOfValue(_ text: RawSpan) throws(JSONFault) -> Range<Int> {
    skipSpace(text)
    let start = position
    try skipValue(text)
    return start..<position
  }
}
