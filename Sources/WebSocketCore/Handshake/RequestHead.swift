import Bytes

/// The head of an HTTP/1 request: the request line and the header fields, read strictly (RFC 9112).
public struct RequestHead: Sendable, Equatable {
  public var method: String
  /// As the client sent it: percent-encoded, with the query.
  public var target: [UInt8]
  /// HTTP/1.0 or HTTP/1.1.
  public var minorVersion: Int
  public var fields: [HeaderField]

  public func values(of name: String) -> [String] { fields.values(of: name) }
  public func firstValue(of name: String) -> String? { fields.firstValue(of: name) }
  public func members(of name: String) -> [String] { fields.members(of: name) }

  /// Whether the client sends no other request on this connection (RFC 9112 section 9.3).
  package var isLast: Bool {
    let options = members(of: "connection").map { $0.lowercased() }
    return options.contains("close") || minorVersion == 0 && !options.contains("keep-alive")
  }

  /// Whether a body follows, valid or not (RFC 9112 section 6.3).
  package var hasBody: Bool {
    fields.has("content-length") || fields.has("transfer-encoding")
  }
}

extension Sequence<HeaderField> {
  /// Whether a request with these fields is meant to be a WebSocket handshake, valid or not.
  public var wantWebSocket: Bool {
    contains { $0.name.utf8.first == UInt8(ascii: "s") && $0.name.hasPrefix("sec-websocket-") }
      || members(of: "upgrade").contains { $0.lowercased() == "websocket" }
  }
}

extension RequestHead {
  public typealias Parsed = HeadReading<RequestHead, RequestFault>

  /// Reads a request head from the start of the bytes.
  ///
  /// Refuses input that two servers could read as different requests: a bare CR or LF, a folded line, white space before a
  /// colon, control characters, and a missing, second or invalid `Host`. Empty lines before the request are skipped (section
  /// 2.2).
  public static func parse(_ bytes: RawSpan, maximumLength: Int = 16 * 1024) -> Parsed {
    var lines = HeadLines(maximumLength: maximumLength)
    do throws(RequestFault) {
      guard try lines.find(in: bytes), let first = lines.ranges.first else { return .incomplete }
      var head = try requestLine(bytes, first)
      head.fields = try lines.fields(of: bytes)
      if let fault = head.faultOfHost { throw RequestFault.badRequest(fault) }
      try head.takeOriginForm()
      return .complete(head, length: lines.length)
    } catch {
      return .malformed(error)
    }
  }

  /// RFC 9112 section 3: method SP request-target SP HTTP-version.
  private static func requestLine(_ bytes: RawSpan, _ line: Range<Int>) throws(RequestFault)
    -> RequestHead
  {
    guard let (first, second) = spaces(in: line, of: bytes) else {
      throw RequestFault.badRequest("the request line does not have three parts")
    }
    let method = line.lowerBound..<first
    let target = (first + 1)..<second
    guard !method.isEmpty, method.allSatisfy({ Token.has(bytes[$0]) }) else {
      throw RequestFault.badRequest("the method is not a valid token")
    }
    guard !target.isEmpty, target.allSatisfy({ bytes[$0] > 0x20 && bytes[$0] < 0x7F }) else {
      throw RequestFault.badRequest("the request target has characters that must be percent-encoded")
    }
    guard let minorVersion = minorVersion(bytes, (second + 1)..<line.upperBound) else {
      throw RequestFault.unsupportedHTTP
    }
    return RequestHead(
      method: bytes.string(method), target: [UInt8](copying: bytes.extracting(target)),
      minorVersion: minorVersion, fields: [])
  }

  /// The two spaces of a line; nil if it has less or more.
  private static func spaces(in line: Range<Int>, of bytes: RawSpan) -> (Int, Int)? {
    var found = (count: 0, first: 0, second: 0)
    var place = line.lowerBound
    while place < line.upperBound {
      if bytes[place] == UInt8(ascii: " ") {
        found.count += 1
        (found.first, found.second) = found.count == 1 ? (place, place) : (found.first, place)
      }
      place += 1
    }
    return found.count == 2 ? (found.first, found.second) : nil
  }

  /// RFC 9110 section 2.5: a later minor version is read as the highest supported one.
  private static func minorVersion(_ bytes: RawSpan, _ version: Range<Int>) -> Int? {
    let text = bytes.extracting(version)
    guard text.byteCount == "HTTP/1.1".utf8.count, text.begins(with: "HTTP/1."), text[7].isDigit else {
      return nil
    }
    return text[7] == UInt8(ascii: "0") ? 0 : 1
  }

  private mutating func takeOriginForm() throws(RequestFault) {
    guard target.first != UInt8(ascii: "/"), method != "CONNECT" else { return }
    switch RequestTarget.originForm(of: target, host: firstValue(of: "host")) {
    case .success(let target): self.target = target
    case .failure(let fault): throw RequestFault.badRequest(fault.text)
    }
  }

  private var faultOfHost: String? {
    // Nearly all requests have one, and need no list of them.
    if let host = fields.onlyValue(of: "host"), Self.isHost(host) { return nil }
    return Self.fault(inHosts: values(of: "host"), minorVersion: minorVersion)
  }

  /// What is wrong with the `Host` fields of a request (RFC 9112 section 3.2); nil if they are valid.
  package static func fault(inHosts hosts: [String], minorVersion: Int) -> String? {
    if hosts.count > 1 { return "there is more than one Host header" }
    if hosts.isEmpty, minorVersion == 1 { return "there is no Host header" }
    guard hosts.allSatisfy({ $0.utf8.allSatisfy(isInHost) }) else {
      return "the Host header is not a host and a port"
    }
    // RFC 9110 section 4.2.1.
    guard hosts.allSatisfy({ !$0.isEmpty && !$0.hasPrefix(":") }) else { return "the Host header is empty" }
    return nil
  }

  private static func isHost(_ text: String) -> Bool {
    guard let first = text.utf8.first, first != UInt8(ascii: ":") else { return false }
    return text.utf8.allSatisfy(isInHost)
  }

  /// RFC 3986 section 3.2.2: the characters of a host name, an address in brackets and a port.
  private static func isInHost(_ byte: UInt8) -> Bool {
    if byte.isLetterOrDigit { return true }
    return switch byte {
    case UInt8(ascii: "#"), UInt8(ascii: "^"), UInt8(ascii: "`"), UInt8(ascii: "|"): false
    case UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "("), UInt8(ascii: ")"),
      UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "="):
      true
    default: Token.has(byte)
    }
  }
}
