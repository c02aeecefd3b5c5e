import Bytes

/// The client's side of an opening handshake (RFC 6455 section 4.1): its request, and the check of the answer.
public struct ClientHandshake: Sendable {
  /// Path and query, percent-encoded.
  public var target: String
  public var host: String
  /// In the order of preference; the server chooses one of them or none.
  public var subprotocols: [String]
  /// Header fields besides those of the handshake.
  public var fields: [HeaderField]
  /// Offers permessage-deflate without context takeover. No other extension is ever offered.
  public var offersCompression = false
  private let key: String

  /// - Parameter nonce: 16 bytes, different for each connection.
  public init(
    target: String, host: String, subprotocols: [String] = [], fields: [HeaderField] = [],
    nonce: [UInt8] = (0..<16).map { _ in .random(in: 0...255) }
  ) {
    self.target = target
    self.host = host
    self.subprotocols = subprotocols
    self.fields = fields
    key = Base64.encode(nonce)
  }

  /// The request as it is sent.
  public var request: [UInt8] {
    var head = "GET \(target) HTTP/1.1\r\nHost: \(host)\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \(key)\r\n"
    if !subprotocols.isEmpty {
      head += "Sec-WebSocket-Protocol: \(subprotocols.joined(separator: ", "))\r\n"
    }
    if offersCompression { head += "Sec-WebSocket-Extensions: \(Self.compressionOffer)\r\n" }
    for field in fields { head += "\(field.name): \(field.value)\r\n" }
    return OpaqueText.bytes(of: head + "\r\n")
  }

  private static let compressionOffer =
    CompressionAgreement.extensionName + "; server_no_context_takeover; client_no_context_takeover"

  /// Why a server's answer does not open a WebSocket.
  public enum Failure: Error, Sendable, Equatable {
    /// The server answered with another status than 101.
    case refused
    /// The server answered 101, but not as section 4.1 requires; the text says what is wrong.
    case malformed(String)
  }

  /// Checks an answer against section 4.1.
  ///
  /// - Returns: the subprotocol that the server chose.
  public func check(_ response: ResponseHead) -> Result<String?, Failure> {
    guard response.status == 101 else { return .failure(.refused) }
    guard response.fields.members(of: "upgrade").contains(where: { $0.lowercased() == "websocket" }),
      response.fields.members(of: "connection").contains(where: { $0.lowercased() == "upgrade" })
    else { return .failure(.malformed("the answer does not upgrade the connection to a WebSocket")) }
    guard response.fields.values(of: "sec-websocket-accept") == [Handshake.accept(for: key)] else {
      return .failure(.malformed("Sec-WebSocket-Accept does not match the key"))
    }
    let extensions = ExtensionOffer.parse(response.fields.values(of: "sec-websocket-extensions"))
    guard let extensions, extensions.isEmpty || answersOffer(extensions) else {
      return .failure(.malformed("the server uses an extension that was not offered"))
    }
    let chosen = response.fields.values(of: "sec-websocket-protocol")
    guard chosen.count <= 1, chosen.allSatisfy(subprotocols.contains) else {
      return .failure(.malformed("the server chose a subprotocol that was not offered"))
    }
    return .success(chosen.first)
  }

  /// Whether an answer that passed `check` allows the server to compress its messages.
  public func agreesOnCompression(_ response: ResponseHead) -> Bool {
    !response.fields.members(of: "sec-websocket-extensions").isEmpty
  }

  /// RFC 7692 section 7.1: the answer grants what was offered, and asks for nothing that was not offered.
  private func answersOffer(_ extensions: [ExtensionOffer]) -> Bool {
    guard offersCompression, extensions.count == 1, extensions[0].name == CompressionAgreement.extensionName
    else { return false }
    var names = extensions[0].parameters.map(\.name)
    guard Set(names).count == names.count, names.contains("server_no_context_takeover") else { return false }
    names.removeAll {
      ["server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits"].contains($0)
    }
    return names.isEmpty
  }
}
