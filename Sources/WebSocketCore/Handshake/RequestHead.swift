/// The head of an HTTP/1 request: the request line and the header fields, read strictly (RFC 9112).
package struct RequestHead: Sendable, Equatable {
  package struct Field: Sendable, Equatable {
    /// In lower case.
    package var name: String
    /// Without white space around it.
    package var value: String

    package init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  package var method: String
  /// As it was sent: percent-encoded, with its query.
  package var target: [UInt8]
  /// HTTP/1.0 or HTTP/1.1.
  package var minorVersion: Int
  package var fields: [Field]

  /// All values of a field, in their order.
  package func values(of name: String) -> [String] {
    fields.filter { $0.name == name }.map(\.value)
  }

  /// The members of a field that is a comma-separated list, over all its lines (RFC 9110 section 5.6.1).
  package func members(of name: String) -> [String] {
    values(of: name).flatMap { value in
      value.split(separator: ",").map { $0.trimmingWhiteSpace }.filter { !$0.isEmpty }
    }
  }

  /// Whether this is meant to be a WebSocket hand-shake, well made or not.
  package var wantsWebSocket: Bool {
    fields.contains { $0.name.hasPrefix("sec-websocket-") }
      || members(of: "upgrade").contains { $0.lowercased() == "websocket" }
  }
}

extension RequestHead {
  package enum Parsed: Sendable, Equatable {
    /// No fault so far, but not all of it.
    case incomplete
    /// The head, and how many bytes it takes up, the empty line included.
    case complete(RequestHead, length: Int)
    case malformed(HandshakeRefusal)
  }

  /// Reads a request head from the front of the bytes.
  ///
  /// Refused, because two readers could take it for different requests: a bare CR or LF, a folded line, white space
  /// before a colon, control characters, a missing, second or impossible `Host`. Empty lines before the request are
  /// passed over (section 2.2).
  package static func parse(_ bytes: RawSpan, maximumLength: Int = 16 * 1024) -> Parsed {
    var lines = HeadLines(maximumLength: maximumLength)
    do throws(HandshakeRefusal) {
      guard try lines.find(in: bytes) else { return .incomplete }
      guard let first = lines.ranges.first else { return .incomplete }
      var head = try requestLine(bytes, first)
      for range in lines.ranges.dropFirst() {
        head.fields.append(try field(bytes, range))
      }
      try head.checkHost()
      return .complete(head, length: lines.length)
    } catch {
      return .malformed(error)
    }
  }

  /// RFC 9112 section 3: method SP request-target SP HTTP-version.
  private static func requestLine(_ bytes: RawSpan, _ line: Range<Int>) throws(HandshakeRefusal)
    -> RequestHead
  {
    let spaces = line.filter { bytes[$0] == UInt8(ascii: " ") }
    guard spaces.count == 2 else {
      throw HandshakeRefusal(.badRequest("the request line is not three words"))
    }
    let method = line.lowerBound..<spaces[0]
    let target = (spaces[0] + 1)..<spaces[1]
    let version = bytes.string((spaces[1] + 1)..<line.upperBound)
    guard !method.isEmpty, method.allSatisfy({ isToken(bytes[$0]) }) else {
      throw HandshakeRefusal(.badRequest("the method is not a word"))
    }
    guard !target.isEmpty, target.allSatisfy({ bytes[$0] > 0x20 && bytes[$0] < 0x7F }) else {
      throw HandshakeRefusal(.badRequest("the request target has characters that must be percent-encoded"))
    }
    guard version == "HTTP/1.1" || version == "HTTP/1.0" else { throw HandshakeRefusal(.httpVersion) }
    return RequestHead(
      method: bytes.string(method), target: target.map { bytes[$0] },
      minorVersion: version == "HTTP/1.1" ? 1 : 0, fields: [])
  }

  /// RFC 9112 section 5: field-name ":" OWS field-value OWS.
  private static func field(_ bytes: RawSpan, _ line: Range<Int>) throws(HandshakeRefusal) -> Field {
    guard let colon = line.first(where: { bytes[$0] == UInt8(ascii: ":") }) else {
      throw HandshakeRefusal(.badRequest("a header line has no colon"))
    }
    let name = line.lowerBound..<colon
    guard !name.isEmpty, name.allSatisfy({ isToken(bytes[$0]) }) else {
      throw HandshakeRefusal(.badRequest("a header name is not a word"))
    }
    var value = (colon + 1)..<line.upperBound
    while let first = value.first, isWhiteSpace(bytes[first]) { value = (first + 1)..<value.upperBound }
    while let last = value.last, isWhiteSpace(bytes[last]) { value = value.lowerBound..<last }
    return Field(name: bytes.string(name).lowercased(), value: bytes.string(value))
  }

  /// RFC 9112 section 3.2.
  private func checkHost() throws(HandshakeRefusal) {
    let hosts = values(of: "host")
    if hosts.count > 1 { throw HandshakeRefusal(.badRequest("there is more than one Host header")) }
    if hosts.isEmpty, minorVersion == 1 { throw HandshakeRefusal(.badRequest("there is no Host header")) }
    guard hosts.allSatisfy({ $0.utf8.allSatisfy(Self.isInHost) }) else {
      throw HandshakeRefusal(.badRequest("the Host header is not a host and a port"))
    }
  }

  /// RFC 3986 section 3.2.2: what a name, an address in brackets and a port are made of.
  private static func isInHost(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "#"), UInt8(ascii: "^"), UInt8(ascii: "`"), UInt8(ascii: "|"): false
    case UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "("), UInt8(ascii: ")"),
      UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "="):
      true
    default: isToken(byte)
    }
  }

  /// RFC 9110 section 5.6.2.
  private static func isToken(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"),
      UInt8(ascii: "%"), UInt8(ascii: "&"), UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"),
      UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"),
      UInt8(ascii: "|"), UInt8(ascii: "~"):
      true
    default: false
    }
  }

  private static func isWhiteSpace(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
  }
}

/// Cuts a head into its lines.
private struct HeadLines {
  let maximumLength: Int
  /// Without their line ends.
  var ranges: [Range<Int>] = []
  /// Up to and with the empty line.
  var length = 0

  init(maximumLength: Int) {
    self.maximumLength = maximumLength
  }

  /// - Returns: false where the empty line has not come yet.
  mutating func find(in bytes: RawSpan) throws(HandshakeRefusal) -> Bool {
    var start = 0
    var index = 0
    let end = min(bytes.byteCount, maximumLength)
    while index < end {
      switch bytes[index] {
      case UInt8(ascii: "\r"):
        guard index + 1 < end else { return try endsEarly(bytes) }
        guard bytes[index + 1] == UInt8(ascii: "\n") else {
          throw HandshakeRefusal(.badRequest("a carriage return stands alone"))
        }
        if index == start, !ranges.isEmpty {
          length = index + 2
          return true
        }
        if index > start { ranges.append(start..<index) }
        index += 2
        start = index
      case UInt8(ascii: "\n"): throw HandshakeRefusal(.badRequest("a line feed stands alone"))
      case UInt8(ascii: "\t"), 0x20...0x7E, 0x80...0xFF:
        // RFC 9112 section 5.2: a folded line, or space before the first field.
        if index == start, bytes[index] == UInt8(ascii: " ") || bytes[index] == UInt8(ascii: "\t") {
          throw HandshakeRefusal(.badRequest("a line begins with white space"))
        }
        index += 1
      default: throw HandshakeRefusal(.badRequest("the request head has control characters"))
      }
    }
    return try endsEarly(bytes)
  }

  /// More may come, but not more than is allowed.
  private func endsEarly(_ bytes: RawSpan) throws(HandshakeRefusal) -> Bool {
    guard bytes.byteCount < maximumLength else { throw HandshakeRefusal(.headTooLong) }
    return false
  }
}

extension StringProtocol {
  /// Without spaces and tabs at either end (RFC 9110 section 5.6.3).
  var trimmingWhiteSpace: String {
    let front = drop { $0 == " " || $0 == "\t" }
    guard let last = front.lastIndex(where: { $0 != " " && $0 != "\t" }) else { return "" }
    return String(front[...last])
  }
}
