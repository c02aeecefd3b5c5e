/// Goes through a JSON text once: `skip…` only checks what it meets, `read…` also builds it.
///
/// Both walk by the same steps, so that what is only checked is checked as strictly as what is read. The text is handed to
/// each step, as a span cannot be kept.
struct JSONReader {
  private(set) var position = 0
  private var depthLeft: Int

  init(depth: Int) {
    depthLeft = depth
  }

  // MARK: - Values

  mutating func readValue(_ text: RawSpan) throws(JSONFault) -> JSON {
    switch try firstByte(text) {
    case UInt8(ascii: "{"): return try readObject(text)
    case UInt8(ascii: "["): return try readArray(text)
    case UInt8(ascii: "\""): return .string(try readString(text))
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
    default: _ = try readNumber(text)
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
      let key = try reader.readString(text)
      try reader.skipColon(text)
      members.append(JSON.Member(key: key, value: try reader.readValue(text)))
    }
    return .object(Self.lastOfEachKey(members))
  }

  private mutating func readArray(_ text: RawSpan) throws(JSONFault) -> JSON {
    var elements: [JSON] = []
    try eachElement(text) { (reader, text) throws(JSONFault) in elements.append(try reader.readValue(text)) }
    return .array(elements)
  }

  private static func lastOfEachKey(_ members: [JSON.Member]) -> [JSON.Member] {
    var places: [String: Int] = [:]
    var unique: [JSON.Member] = []
    for member in members {
      if let place = places[member.key] {
        unique[place] = member
      } else {
        places[member.key] = unique.count
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
      guard reader.position < text.byteCount, text[reader.position] == UInt8(ascii: "\"") else {
        throw reader.fault("a member's name in quotes is missing")
      }
      try member(&reader, text)
    }
  }

  private mutating func eachElement(
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
    if position < text.byteCount, text[position] == closing {
      position += 1
      return
    }
    while true {
      skipSpace(text)
      try item(&self, text)
      skipSpace(text)
      guard position < text.byteCount else { throw fault("the end is missing") }
      let byte = text[position]
      position += 1
      if byte == closing { return }
      guard byte == UInt8(ascii: ",") else {
        position -= 1
        throw fault("a comma or the end is missing")
      }
    }
  }

  mutating func skipColon(_ text: RawSpan) throws(JSONFault) {
    skipSpace(text)
    guard position < text.byteCount, text[position] == UInt8(ascii: ":") else {
      throw fault("a colon is missing")
    }
    position += 1
  }

  // MARK: - Strings

  mutating func readString(_ text: RawSpan) throws(JSONFault) -> String {
    let start = position + 1
    let hasEscapes = try skipString(text)
    let inner = start..<(position - 1)
    return hasEscapes ? Self.unescaped(text.extracting(inner)) : text.string(inner)
  }

  /// - Returns: whether the string holds escapes.
  @discardableResult
  mutating func skipString(_ text: RawSpan) throws(JSONFault) -> Bool {
    position += 1
    var hasEscapes = false
    while position < text.byteCount {
      let byte = text[position]
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        return hasEscapes
      case UInt8(ascii: "\\"):
        hasEscapes = true
        try skipEscape(text)
      case 0..<0x20: throw fault("a control character in a string")
      case 0x20..<0x80: position += 1
      default: try skipMultibyte(text)
      }
    }
    throw fault("a string's closing quote is missing")
  }

  private mutating func skipEscape(_ text: RawSpan) throws(JSONFault) {
    guard position + 1 < text.byteCount else { throw fault("an escape is cut off") }
    switch text[position + 1] {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
      UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      position += 2
    case UInt8(ascii: "u"):
      guard let unit = Self.hexUnit(text, at: position + 2) else { throw fault("an escape is not \\u and 4 digits") }
      switch unit {
      case 0xD800..<0xDC00:
        guard position + 7 < text.byteCount, text[position + 6] == UInt8(ascii: "\\"),
          text[position + 7] == UInt8(ascii: "u"), let low = Self.hexUnit(text, at: position + 8),
          (0xDC00..<0xE000).contains(low)
        else { throw fault("half a surrogate pair") }
        position += 12
      case 0xDC00..<0xE000: throw fault("half a surrogate pair")
      default: position += 6
      }
    default: throw fault("an unknown escape")
    }
  }

  /// Unicode table 3-7: which bytes may follow which in well-formed UTF-8.
  private mutating func skipMultibyte(_ text: RawSpan) throws(JSONFault) {
    let lead = text[position]
    let length: Int
    var second: ClosedRange<UInt8> = 0x80...0xBF
    switch lead {
    case 0xC2...0xDF: length = 2
    case 0xE0: (length, second) = (3, 0xA0...0xBF)
    case 0xED: (length, second) = (3, 0x80...0x9F)
    case 0xE1...0xEF: length = 3
    case 0xF0: (length, second) = (4, 0x90...0xBF)
    case 0xF1...0xF3: length = 4
    case 0xF4: (length, second) = (4, 0x80...0x8F)
    default: throw fault("invalid UTF-8")
    }
    guard position + length <= text.byteCount, second.contains(text[position + 1]) else {
      throw fault("invalid UTF-8")
    }
    for offset in 2..<max(length, 2) where !(0x80...0xBF).contains(text[position + offset]) {
      throw fault("invalid UTF-8")
    }
    position += length
  }

  private static func hexUnit(_ text: RawSpan, at offset: Int) -> UInt16? {
    guard offset + 4 <= text.byteCount else { return nil }
    var unit: UInt16 = 0
    for index in offset..<offset + 4 {
      let digit: UInt8
      switch text[index] {
      case let byte where (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte): digit = byte - 0x30
      case let byte where (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte): digit = byte - 0x57
      case let byte where (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(byte): digit = byte - 0x37
      default: return nil
      }
      unit = unit << 4 | UInt16(digit)
    }
    return unit
  }

  /// The inside of a string that was checked.
  private static func unescaped(_ inner: RawSpan) -> String {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(inner.byteCount)
    var index = 0
    while index < inner.byteCount {
      guard inner[index] == UInt8(ascii: "\\") else {
        bytes.append(inner[index])
        index += 1
        continue
      }
      switch inner[index + 1] {
      case UInt8(ascii: "b"): bytes.append(0x08)
      case UInt8(ascii: "f"): bytes.append(0x0C)
      case UInt8(ascii: "n"): bytes.append(0x0A)
      case UInt8(ascii: "r"): bytes.append(0x0D)
      case UInt8(ascii: "t"): bytes.append(0x09)
      case UInt8(ascii: "u"):
        let high = UInt32(hexUnit(inner, at: index + 2) ?? 0)
        var scalar = high
        if (0xD800..<0xDC00).contains(high) {
          let low = UInt32(hexUnit(inner, at: index + 8) ?? 0)
          scalar = 0x10000 + (high - 0xD800) << 10 + (low - 0xDC00)
          index += 6
        }
        bytes.append(contentsOf: String(Unicode.Scalar(scalar) ?? "\u{FFFD}").utf8)
        index += 4
      case let same: bytes.append(same)
      }
      index += 2
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  // MARK: - Numbers and words

  private mutating func readNumber(_ text: RawSpan) throws(JSONFault) -> JSON {
    let start = position
    if byte(text) == UInt8(ascii: "-") { position += 1 }
    switch byte(text) {
    case UInt8(ascii: "0")?: position += 1
    case let digit? where (UInt8(ascii: "1")...UInt8(ascii: "9")).contains(digit): skipDigits(text)
    default:
      position = start
      throw fault("a value is missing")
    }
    var isInteger = true
    if byte(text) == UInt8(ascii: ".") {
      isInteger = false
      position += 1
      guard skipDigits(text) > 0 else { throw fault("a digit is missing") }
    }
    if byte(text) == UInt8(ascii: "e") || byte(text) == UInt8(ascii: "E") {
      isInteger = false
      position += 1
      if byte(text) == UInt8(ascii: "+") || byte(text) == UInt8(ascii: "-") { position += 1 }
      guard skipDigits(text) > 0 else { throw fault("a digit is missing") }
    }
    let digits = text.string(start..<position)
    if isInteger, let integer = Int64(digits) { return .integer(integer) }
    guard !isInteger, let double = Double(digits), double.isFinite else {
      position = start
      throw fault("a number out of range")
    }
    return .double(double)
  }

  @discardableResult
  private mutating func skipDigits(_ text: RawSpan) -> Int {
    let start = position
    while let digit = byte(text), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) { position += 1 }
    return position - start
  }

  private mutating func skipWord(_ word: StaticString, _ text: RawSpan) throws(JSONFault) {
    let length = word.utf8CodeUnitCount
    guard position + length <= text.byteCount else { throw fault("a value is missing") }
    let matches = word.withUTF8Buffer { buffer in
      (0..<length).allSatisfy { unsafe buffer[$0] == text[position + $0] }
    }
    guard matches else { throw fault("a value is missing") }
    position += length
  }

  // MARK: - Places

  private mutating func firstByte(_ text: RawSpan) throws(JSONFault) -> UInt8 {
    skipSpace(text)
    guard let first = byte(text) else { throw fault("a value is missing") }
    return first
  }

  private func byte(_ text: RawSpan) -> UInt8? {
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

  func fault(_ message: String) -> JSONFault {
    JSONFault(message: message, offset: position)
  }
}
