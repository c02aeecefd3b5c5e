import Bytes
import WebSocketCore

/// Writes a POST of HTTP/1.1 as it is sent.
struct PostText {
  private(set) var bytes: [UInt8] = []

  init(_ request: ViewRequest) {
    bytes.reserveCapacity(request.body.count + Self.usualHead)
    append("POST ")
    bytes.append(text: request.target)
    append(" HTTP/1.1\r\n")
    for field in request.fields {
      bytes.append(text: field.name)
      append(": ")
      // A field of the client may have bytes that are not UTF-8.
      if field.value.utf8.allSatisfy({ $0 < 0x80 }) {
        bytes.append(text: field.value)
      } else {
        bytes += OpaqueText.bytes(of: field.value)
      }
      append("\r\n")
    }
    append("Content-Length: ")
    bytes.append(text: String(request.body.count))
    append("\r\n\r\n")
    bytes += request.body
  }

  /// Most heads have no more bytes, and their text is allocated once.
  private static let usualHead = 1024

  private mutating func append(_ text: StaticString) {
    bytes.append(copying: text.rawBytes)
  }
}
