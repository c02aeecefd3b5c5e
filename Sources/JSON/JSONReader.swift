import Bytes

/// Goes through a JSON text once: `skip…` only checks, `read…` also builds the values.
///
/// Both use the same steps, so that text is checked equally strictly in both ways. The text is passed to each step, because a
/// span cannot be stored.
struct JSONReader {
  /// In bytes from the start.
  var position = 0
  private var depthLeft: Int
  private var valuesLeft: Int
  private let strings: JSONStrings

  init(depth: Int, values: Int = .max, strings: JSONStrings = .carried) {
    depthLeft = depth
    valuesLeft = values
    self.strings = strings
  }

  // MARK: - Values

  mutating func readValue(_ text: RawSpan) throws(JSONFault) -> JSON {
    guard valuesLeft > 0 else { throw fault("too many values") }
    valuesLeft -= 1
    switch try firstByte(text) {
    case UInt8(ascii: "{"): return try readObject(text)
    case UInt8(ascii: "["): return try readArray(text)
    case UInt8(ascii: "\""): return .string(try strings == .compared ? readKey(text) : readString(text))
    case UInt8(ascii: "t"):
      try skipWord("true", text)
      return .bool(true)
    case UInt8(ascii: "f"):
      try skipWord("false", text)
      return .bool(false)
    case UInt8(ascii: "n"):
      try skipWord("null", text)
      return .null
    default: return try readNumber(text)
    }
  }

  mutating func skipValue(_ text: RawSpan) throws(JSONFault) {
    switch try firstByte(text) {
    case UInt8(ascii: "{"):
      try eachMember(text) { (reader, text) throws(JSONFault) in
        try reader.skipString(text)
        try reader.skipColon(text)
        try reader.skipValue(text)
      }
    case UInt8(ascii: "["):
      try eachElement(text) { (reader, text) throws(JSONFault) in try reader.skipValue(text) }
    case UInt8(ascii: "\""): try skipString(text)
    case UInt8(ascii: "t"): try skipWord("true", text)
    case UInt8(ascii: "f"): try skipWord("false", text)
    case UInt8(ascii: "n"): try skipWord("null", text)
    default: try skipNumber(text)
    }
  }

  /// Nothing but white space may follow.
  mutating func end(_ text: RawSpan) throws(JSONFault) {
    skipSpace(text)
    guard position == text.byteCount else { throw fault("more after the value") }
  }

  // MARK: - Objects and arrays

  private mutating func readObject(_ text: RawSpan) throws(JSONFault) -> JSON {
    var members: [JSON.Member] = []
    try eachMember(text) { (reader, text) throws(JSONFault) in
      let key = try reader.readKey(text)
      try reader.skipColon(text)
      members.append(JSON.Member(key: key, value: try reader.readValue(text)))
    }
    return .object(Self.lastOfEachKey(members))
  }

  /// The name of a member, or another text for comparison. RFC 8259 section 9 lets a reader limit the contents of strings;
  /// names are compared and hashed.
  mutating func readKey(_ text: RawSpan) throws(JSONFault) -> String {
    let key = try readString(text)
    guard !key.hasTooManyMarks else { throw fault("a text has too many combining marks in a row") }
    return key
  }

  private mutating func readArray(_ text: RawSpan) throws(JSONFault) -> JSON {
    var elements: [JSON] = []
    try eachElement(text) { (reader, text) throws(JSONFault) in elements.append(try reader.readValue(text)) }
    return .array(elements)
  }

  private static func lastOfEachKey(_ members: [JSON.Member]) -> [JSON.Member] {
    guard members.count > 1 else { return members }
    var places: [ExactText: Int] = [:]
    var unique: [JSON.Member] = []
    for member in members {
      let key = ExactText(text: member.key)
      if let place = places[key] {
        unique[place] = member
      } else {
        places[key] = unique.count
        unique.append(member)
      }
    }
    return unique
  }

  /// Runs `member` with the position at each key.
  mutating func eachMember(
    _ text: RawSpan, _ member: (inout JSONReader, RawSpan) throws(JSONFault) -> Void
  ) throws(JSONFault) {
    try eachItem(text, closedBy: UInt8(ascii: "}")) { (reader, text) throws(JSONFault) in
      guard reader.byte(text) == UInt8(ascii: "\"") else {
        throw reader.fault("a member's name in quotes is missing")
      }
      try member(&reader, text)
    }
  }

  mutating func eachElement(
    _ text: RawSpan, _ element: (inout JSONReader, RawSpan) throws(JSONFault) -> Void
  ) throws(JSONFault) {
    try eachItem(text, closedBy: UInt8(ascii: "]"), element)
  }

  private mutating func eachItem(
    _ text: RawSpan, closedBy closing: UInt8, _ item: (inout JSONReader, RawSpan) throws(JSONFault) -> Void
  ) throws(JSONFault) {
    guard depthLeft > 0 else { throw fault("nested too deep") }
    depthLeft -= 1
    defer { depthLeft += 1 }
    position += 1
    skipSpace(text)
    if byte(text) == closing {
      position += 1
      return
    }
    while true {
      skipSpace(text)
      try item(&self, text)
      skipSpace(text)
      guard let byte = byte(text) else { throw fault("the end is missing") }
      guard byte == closing || byte == UInt8(ascii: ",") else { throw fault("a comma or the end is missing") }
      position += 1
      if byte == closing { return }
    }
  }

  mutating func skipColon(_ text: RawSpan) throws(JSONFault) {
    skipSpace(text)
    guard byte(text) == UInt8(ascii: ":") else { throw fault("a colon is missing") }
    position += 1
  }

  // MARK: - Words

  private mutating func skipWord(_ word: StaticString, _ text: RawSpan) throws(JSONFault) {
    let length = word.utf8CodeUnitCount
    let bytes = word.rawBytes
    guard position + length <= text.byteCount,
      (0..<length).allSatisfy({ bytes[$0] == text[position + $0] })
    else { throw fault("a value is missing") }
    position += length
  }

  // MARK: - Places

  private mutating func firstByte(_ text: RawSpan) throws(JSONFault) -> UInt8 {
    skipSpace(text)
    guard let first = byte(text) else { throw fault("a value is missing") }
    return first
  }

  func byte(_ text: RawSpan) -> UInt8? {
    position < text.byteCount ? text[position] : nil
  }

  mutating func skipSpace(_ text: RawSpan) {
    while position < text.byteCount {
      switch text[position] {
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: "\r"): position += 1
      default: return
      }
    }
  }

  func fault(_ message: String, remedy: String? = nil) -> JSONFault {
    JSONFault(message: message, offset: position, remedy: remedy)
  }

  /// The fault if there is no value here. Some beginnings of texts that are not JSON have messages of their own.
  func missingValue(_ text: RawSpan) -> JSONFault {
    guard position == 0, text.byteCount >= 2 else { return fault("a value is missing") }
    switch (text[0], text[1]) {
    // RFC 8259 section 8.1: writers must not add a byte order mark, and a reader may refuse one.
    case (0xEF, 0xBB):
      return fault("a byte order mark stands before the text", remedy: "send UTF-8 without one")
    case (0xFE, 0xFF), (0xFF, 0xFE): return fault("the text is UTF-16", remedy: "send UTF-8")
    // RFC 1952 section 2.3.1.
    case (0x1F, 0x8B): return fault("the text is compressed with gzip", remedy: "send it as it is")
    default: return fault("a value is missing")
    }
  }

  /// The type of the value that begins here, in words.
  func kind(_ text: RawSpan) -> String {
    switch byte(text) {
    case UInt8(ascii: "{")?: "an object"
    case UInt8(ascii: "[")?: "a list"
    case UInt8(ascii: "\"")?: "a string"
    case UInt8(ascii: "t")?, UInt8(ascii: "f")?: "a truth value"
    case UInt8(ascii: "n")?: "null"
    default: "a number"
    }
  }
}
