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
    guard fields.versions == ["13"] else { return refuse(.unsupportedVersion) }
    guard fields.keys.count == 1, isKey(fields.keys[0]) else { return refuse(.badKey) }
    guard fields.origins.count <= 1 else { return refuse(.severalOrigins) }
    let subprotocols = fields.subprotocols.members
    guard Set(subprotocols).count == subprotocols.count,
      subprotocols.allSatisfy({ $0.utf8.allSatisfy(Token.has) })
    else { return refuse(.badSubprotocol) }
    // Section 9.1: a field that does not follow the grammar fails the connection.
    guard let extensions = ExtensionOffer.parse(fields.extensions) else { return refuse(.badExtensions) }
    return .success(
      Handshake(
        key: fields.keys[0], host: host, origin: fields.origins.first, subprotocols: subprotocols,
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
    head.append(
      contentsOf: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n".utf8)
    func append(_ name: String, _ value: String) {
      head.append(contentsOf: name.utf8)
      head.append(contentsOf: ": ".utf8)
      head.append(contentsOf: OpaqueText.bytes(of: value))
      head.append(contentsOf: "\r\n".utf8)
    }
    append("Sec-WebSocket-Accept", Self.accept(for: key))
    if let subprotocol { append("Sec-WebSocket-Protocol", subprotocol) }
    if let compression { append("Sec-WebSocket-Extensions", compression.response) }
    for field in fields { append(field.name, field.value) }
    head.append(contentsOf: "\r\n".utf8)
    return head
  }

  /// The value that shows that the server understood the key (section 4.2.2, point 5.4).
  static func accept(for key: String) -> String {
    let digest = Insecure.SHA1.hash(data: Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))
    return Base64.encode(Array(digest))
  }

  /// 16 bytes in base64 are 22 characters and two signs of padding.
  private static func isKey(_ key: String) -> Bool {
    key.utf8.count == 24 && key.utf8.suffix(2).allSatisfy { $0 == UInt8(ascii: "=") }
      && key.utf8.prefix(22).allSatisfy(Base64.isDigit)
  }
}

/// The fields of a request that a handshake is made of, found in one pass: a search for each of them was a tenth of a handshake.
private struct HandshakeFields {
  var host: String?
  /// Whether `Upgrade` names WebSocket, and `Connection` names the upgrade.
  var isForWebSocket = false
  var isUpgrade = false
  var hasBody = false
  var versions: [String] = []
  var keys: [String] = []
  var origins: [String] = []
  var subprotocols: [String] = []
  var extensions: [String] = []

  init(_ fields: [HeaderField]) {
    for field in fields {
      switch field.name {
      case "host": host = host ?? field.value
      case "upgrade": isForWebSocket = isForWebSocket || Self.names("websocket", in: field.value)
      case "connection": isUpgrade = isUpgrade || Self.names("upgrade", in: field.value)
      case "content-length": hasBody = hasBody || field.value != "0"
      case "transfer-encoding": hasBody = true
      case "origin": origins.append(field.value)
      case "sec-websocket-version": versions.append(field.value)
      case "sec-websocket-key": keys.append(field.value)
      case "sec-websocket-protocol": subprotocols.append(field.value)
      case "sec-websocket-extensions": extensions.append(field.value)
      default: break
      }
    }
  }

  /// Whether a list has the member, in upper or lower case.
  private static func names(_ member: String, in value: String) -> Bool {
    value == member || [value].members.contains { $0.lowercased() == member }
  }
}
