import Bytes
import Crypto

/// A valid opening handshake (RFC 6455 section 4.2.1): the client's request.
public struct Handshake: Sendable, Equatable {
  public var key: String
  public var host: String
  public var origin: String?
  /// As offered, in the client's order of preference.
  public var subprotocols: [String]
  /// `Sec-WebSocket-Extensions` as offered, in the client's order of preference.
  ///
  /// Leaving an offer unanswered declines it (section 9.1).
  public var extensions: [ExtensionOffer]

  /// Checks the points of section 4.2.1 in their order.
  public static func read(_ head: RequestHead) -> Result<Handshake, RequestFault> {
    func refuse(_ fault: RequestFault) -> Result<Handshake, RequestFault> { .failure(fault) }
    guard head.minorVersion >= 1 else { return refuse(.httpVersion) }
    guard head.method == "GET" else { return refuse(.methodNotGET) }
    let fields = HandshakeFields(head.fields)
    guard let host = fields.host, !host.isEmpty else { return refuse(.badRequest("there is no Host header")) }
    guard fields.isForWebSocket else { return refuse(.notAWebSocket) }
    guard fields.isUpgrade else { return refuse(.badConnectionHeader) }
    // The first frames would be part of the body of a GET.
    guard !fields.hasBody else { return refuse(.badRequest("a WebSocket handshake must not have a body")) }
    guard fields.versions.only == "13" else { return refuse(.unsupportedVersion) }
    guard let key = fields.keys.only, isKey(key) else { return refuse(.badKey) }
    guard fields.origins.count <= 1 else { return refuse(.severalOrigins) }
    let subprotocols = fields.subprotocols.members
    guard Set(subprotocols).count == subprotocols.count,
      subprotocols.allSatisfy({ $0.utf8.allSatisfy(Token.has) })
    else { return refuse(.badSubprotocol) }
    // Section 9.1: a field that does not follow the grammar fails the connection.
    guard let extensions = ExtensionOffer.parse(fields.extensions) else { return refuse(.badExtensions) }
    return .success(
      Handshake(
        key: key, host: host, origin: fields.origins.first, subprotocols: subprotocols,
        extensions: extensions))
  }

  /// The first of the server's subprotocols that the client offers (section 4.2.2, point 5), or nil.
  public func chooseSubprotocol(from preferred: [String]) -> String? {
    preferred.first(where: subprotocols.contains)
  }

  /// The 101 answer of section 4.2.2.
  ///
  /// - Parameters:
  ///   - compression: the answer to one of the `extensions`, if one was accepted.
  ///   - fields: header fields besides those of the handshake.
  public func response(
    subprotocol: String?, compression: CompressionAgreement? = nil, fields: [HeaderField] = []
  ) -> [UInt8] {
    var head: [UInt8] = []
    head.reserveCapacity(256)
    head.append(copying: Self.beginOfResponse.rawBytes)
    head += Base64.encoded(Self.digest(of: key))
    head.append(copying: Self.lineEnd.rawBytes)
    func append(_ name: String, _ value: String) {
      head.append(contentsOf: name.utf8)
      head.append(contentsOf: ": ".utf8)
      head.append(contentsOf: OpaqueText.bytes(of: value))
      head.append(copying: Self.lineEnd.rawBytes)
    }
    if let subprotocol { append("Sec-WebSocket-Protocol", subprotocol) }
    if let compression { append("Sec-WebSocket-Extensions", compression.response) }
    for field in fields { append(field.name, field.value) }
    head.append(copying: Self.lineEnd.rawBytes)
    return head
  }

  /// Up to the value of `accept`.
  private static let beginOfResponse: StaticString =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
  private static let lineEnd: StaticString = "\r\n"

  /// The value that shows that the server understood the key (section 4.2.2, point 5.4).
  static func accept(for key: String) -> String { Base64.encode(digest(of: key)) }

  private static func digest(of key: String) -> [UInt8] {
    var bytes = Array(key.utf8)
    bytes.append(copying: mark.rawBytes)
    // Its bytes one by one would take longer than the digest itself.
    return unsafe Insecure.SHA1.hash(data: bytes).withUnsafeBytes { unsafe Array($0) }
  }

  private static let mark: StaticString = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

  /// 16 bytes in base64 are 22 characters and two signs of padding.
  private static func isKey(_ key: String) -> Bool {
    let bytes = key.utf8Span.span
    return bytes.count == 24 && bytes[22] == UInt8(ascii: "=") && bytes[23] == UInt8(ascii: "=")
      && (0..<22).allSatisfy { Base64.isDigit(bytes[$0]) }
  }
}

/// The fields of a request that a handshake is made of, found in one pass: a search for each of them was a tenth of a handshake.
private struct HandshakeFields {
  var host: String?
  /// Whether `Upgrade` names WebSocket, and `Connection` names the upgrade.
  var isForWebSocket = false
  var isUpgrade = false
  var hasBody = false
  var versions = Values()
  var keys = Values()
  var origins = Values()
  var subprotocols: [String] = []
  var extensions: [String] = []

  /// The values of a field that may appear once.
  struct Values {
    private(set) var first: String?
    private(set) var count = 0

    /// Nil if there is none, or another one.
    var only: String? { count == 1 ? first : nil }

    mutating func append(_ value: String) {
      first = first ?? value
      count += 1
    }
  }

  init(_ fields: [HeaderField]) {
    for field in fields {
      // Most other fields already differ in their length.
      switch field.name.utf8.count {
      case 4 where field.name == "host": host = host ?? field.value
      case 6 where field.name == "origin": origins.append(field.value)
      case 7 where field.name == "upgrade":
        isForWebSocket = isForWebSocket || Self.names("websocket", in: field.value)
      case 10 where field.name == "connection":
        isUpgrade = isUpgrade || Self.names("upgrade", in: field.value)
      case 14 where field.name == "content-length": hasBody = hasBody || field.value != "0"
      case 17 where field.name == "transfer-encoding": hasBody = true
      case 17 where field.name == "sec-websocket-key": keys.append(field.value)
      case 21 where field.name == "sec-websocket-version": versions.append(field.value)
      case 22 where field.name == "sec-websocket-protocol": subprotocols.append(field.value)
      case 24 where field.name == "sec-websocket-extensions": extensions.append(field.value)
      default: break
      }
    }
  }

  /// Whether a list has the member, in upper or lower case.
  private static func names(_ member: String, in value: String) -> Bool {
    value == member
      || value.utf8.count == member.utf8.count && value.beginsIgnoringCase(with: member)
      || [value].members.contains { $0.lowercased() == member }
  }
}
