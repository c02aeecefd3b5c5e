import Bytes
import HTTPTypes
import Hummingbird
import WebSocketCore

extension Request {
  /// Whether the request asks for a WebSocket, by the same rule as in the workers.
  var wantsWebSocket: Bool {
    headers.lazy.map { HeaderField(name: $0.name.canonicalName, value: $0.value) }.wantWebSocket
  }

  /// The request head as bytes, for a worker to read again. The parser has already dropped what was not a valid field.
  var headBytes: [UInt8] {
    var text = "\(method.rawValue) \(head.path ?? "/") HTTP/1.1\r\n"
    if let host = head.authority {
      text += "Host: \(host)\r\n"
    }
    for field in headers {
      text += "\(field.name.rawName): \(field.value)\r\n"
    }
    text += "\r\n"
    return OpaqueText.bytes(of: text)
  }
}
