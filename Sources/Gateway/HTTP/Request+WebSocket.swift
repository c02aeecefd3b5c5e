import HTTPTypes
import Hummingbird

extension Request {
  /// Whether the request asks for a WebSocket, as a worker would decide it.
  var wantsWebSocket: Bool {
    if headers[.secWebSocketKey] != nil { return true }
    return headers[values: .upgrade].contains { value in
      value.split(separator: ",").contains { $0.trimmingSpaces.lowercased() == "websocket" }
    }
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
    return Array(text.utf8)
  }
}

extension Substring {
  fileprivate var trimmingSpaces: Substring {
    let front = drop { $0 == " " || $0 == "\t" }
    guard let last = front.lastIndex(where: { $0 != " " && $0 != "\t" }) else { return "" }
    return front[...last]
  }
}
