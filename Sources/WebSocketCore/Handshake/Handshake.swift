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
    guard let host = head.values(of: "host").first, !host.isEmpty else {
      return refuse(.badRequest("there is no Host header"))
    }
    guard head.members(of: "upgrade").contains(where: { $0.lowercased() == "websocket" }) else {
      return refuse(.notAWebSocket)
    }
    guard head.members(of: "connection").contains(where: { $0.lowercased() == "upgrade" }) else {
      return refuse(.badConnectionHeader)
    }
    // The first frames would be part of the body of a GET.
    guard head.values(of: "content-length").allSatisfy({ $0 == "0" }),
      head.values(of: "transfer-encoding").isEmpty
    else { return refuse(.badRequest("a WebSocket handshake must not have a body")) }
    let versions = head.values(of: "sec-websocket-version")
    guard versions == ["13"] else { return refuse(.unsupportedVersion) }
    let keys = head.values(of: "sec-websocket-key")
    guard keys.count == 1, isKey(keys[0]) else { return refuse(.badKey) }
    let origins = head.values(of: "origin")
    guard origins.count <= 1 else { return refuse(.severalOrigins) }
    let subprotocols = head.members(of: "sec-websocket-protocol")
    guard Set(subprotocols).count == subprotocols.count,
      subprotocols.allSatisfy({ $0.utf8.allSatisfy(Token.has) })
    else { return refuse(.badSubprotocol) }
    // Section 9.1: a field that does not follow the grammar fails the connection.
    guard let extensions = ExtensionOffer.parse(head.values(of: "sec-websocket-extensions")) else {
      return refuse(.badExtensions)
    }
    return .success(
      Handshake(
        key: keys[0], host: host, origin: origins.first, subprotocols: subprotocols, extensions: extensions))
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
      for part in [name, ": ", value, "\r\n"] { head += OpaqueText.bytes(of: part) }
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
