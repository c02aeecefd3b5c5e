import Bytes

/// One field of a message head (RFC 9110 section 5).
public struct HeaderField: Sendable, Equatable {
  /// Lower-case if it was read from a message.
  public var name: String
  /// Without white space around it. Bytes that are not UTF-8 are kept as `OpaqueText`.
  public var value: String

  public init(name: String, value: String) {
    self.name = name
    self.value = value
  }

  /// Reads a line (RFC 9112 section 5): field-name ":" OWS field-value OWS.
  ///
  /// - Parameter isASCII: whether all of its bytes are known to be.
  init(_ bytes: RawSpan, _ line: Range<Int>, isASCII: Bool) throws(RequestFault) {
    let colon = Self.colon(in: line, of: bytes)
    let name: String
    if let known = KnownFieldNames.find(bytes, line.lowerBound..<colon) {
      name = known
    } else {
      guard colon > line.lowerBound, (line.lowerBound..<colon).allSatisfy({ Token.has(bytes[$0]) }) else {
        throw RequestFault.badRequest(
          colon < line.upperBound ? "a header name is not a valid token" : "a header line has no colon")
      }
      name = Self.lowercased(bytes, line.lowerBound..<colon)
    }
    guard colon < line.upperBound else { throw RequestFault.badRequest("a header line has no colon") }
    var (start, end) = (colon + 1, line.upperBound)
    while start < end, Self.isWhiteSpace(bytes[start]) { start += 1 }
    while start < end, Self.isWhiteSpace(bytes[end - 1]) { end -= 1 }
    let text = isASCII ? bytes.string(start..<end) : bytes.opaqueText(start..<end)
    guard isASCII || !text.hasTooManyMarks else {
      throw RequestFault.badRequest("a header value has too many combining marks in a row")
    }
    self.init(name: name, value: text)
  }

  /// The offset of the first colon of a line; its end if it has none.
  private static func colon(in line: Range<Int>, of bytes: RawSpan) -> Int {
    min(bytes.offset(of: UInt8(ascii: ":"), from: line.lowerBound) ?? line.upperBound, line.upperBound)
  }

  /// A token in lower case, in one step.
  private static func lowercased(_ bytes: RawSpan, _ name: Range<Int>) -> String {
    unsafe String(unsafeUninitializedCapacity: name.count) { text in
      for index in 0..<name.count {
        let byte = bytes[name.lowerBound + index]
        unsafe text[index] = byte.isLetter ? byte | 0x20 : byte
      }
      return name.count
    }
  }

  /// Whether it has the name, which is in lower case. Most names differ in their lengths, which costs next to nothing to compare.
  func isNamed(_ name: String) -> Bool { self.name.utf8.count == name.utf8.count && self.name == name }

  fileprivate static func isWhiteSpace(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
  }
}

extension Sequence<HeaderField> {
  /// All values of a field, in their order.
  public func values(of name: String) -> [String] {
    compactMap { $0.isNamed(name) ? $0.value : nil }
  }

  /// The first value of a field; nil without the field.
  public func firstValue(of name: String) -> String? {
    first { $0.isNamed(name) }?.value
  }

  /// The value of a field that appears once; nil without the field, and if there are several.
  public func onlyValue(of name: String) -> String? {
    var found: String?
    for field in self where field.isNamed(name) {
      guard found == nil else { return nil }
      found = field.value
    }
    return found
  }

  public func has(_ name: String) -> Bool { contains { $0.isNamed(name) } }

  /// The members of a field that is a comma-separated list, over all its lines (RFC 9110 section 5.6.1).
  public func members(of name: String) -> [String] { has(name) ? values(of: name).members : [] }
}

extension [String] {
  /// The members of a comma-separated list in several values.
  var members: [String] {
    flatMap { value in
      // As bytes: searching the characters of a String takes a quarter of a handshake's time.
      value.utf8.split(separator: UInt8(ascii: ",")).compactMap { member in
        guard let first = member.firstIndex(where: { !HeaderField.isWhiteSpace($0) }),
          let last = member.lastIndex(where: { !HeaderField.isWhiteSpace($0) })
        else { return nil }
        return String(Substring(member[first...last]))
      }
    }
  }
}

/// RFC 9110 section 5.6.2: the characters of field names, methods and subprotocols.
package enum Token {
  @inlinable
  package static func has(_ byte: UInt8) -> Bool {
    // As most bytes are, which is cheaper to know than to search for them below.
    if byte.isLetterOrDigit { return true }
    return switch byte {
    case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"),
      UInt8(ascii: "%"), UInt8(ascii: "&"), UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"),
      UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"),
      UInt8(ascii: "|"), UInt8(ascii: "~"):
      true
    default: false
    }
  }
}
