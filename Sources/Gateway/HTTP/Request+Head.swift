import Bytes
import GatewayConfig
import HTTPTypes
import Hummingbird
import Sessions
import WebSocketCore

extension HTTPFields {
  /// Leaves out fields whose names are not valid, with which nobody could do anything.
  init(_ fields: some Sequence<HeaderField>) {
    self.init()
    for field in fields {
      guard let name = HTTPField.Name(field.name) else { continue }
      append(HTTPField(name: name, value: field.value))
    }
  }
}

extension Request {
  /// As the workers read them.
  fileprivate var fields: some Sequence<HeaderField> {
    headers.lazy.map { HeaderField(name: $0.name.canonicalName, value: $0.value) }
  }

  /// Whether the request asks for a WebSocket, by the same rule as in the workers.
  var wantsWebSocket: Bool { fields.wantWebSocket }

  /// The request head as bytes, for a worker to read again. The parser has already dropped what was not a valid field.
  var headBytes: [UInt8] {
    var text = "\(method.rawValue) \(head.path ?? "/") HTTP/1.1\r\n"
    if let host = head.authority { text += "Host: \(host)\r\n" }
    for field in headers { text += "\(field.name.rawName): \(field.value)\r\n" }
    return OpaqueText.bytes(of: text + "\r\n")
  }
}

extension Credentials {
  /// The credentials in an HTTP request.
  ///
  /// - Parameter query: the query of its target.
  init(of request: Request, query: String?, from client: Client) {
    self.init(
      inFields: Array(request.fields), query: query, host: request.head.authority ?? "", client: client)
  }
}

extension ProcessState {
  /// The client of a request on the HTTP service, and the answer where its address has too many connections. A proxy sends
  /// requests of many clients on one connection, so each has its own place while it is answered, and none counts as a handshake.
  func client(of request: Request, behind direct: Client) -> (client: Client, refusal: Response?) {
    let (client, refusal) = client(of: request.fields, behind: direct, isHandshake: false)
    guard let refusal else { return (client, nil) }
    counters.refusals.up()
    return (client, Response(refusal.reason))
  }
}
