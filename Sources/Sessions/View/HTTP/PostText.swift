import Bytes
import WebSocketCore

/// A POST of HTTP/1.1 as it is sent.
struct PostText {
  private(set) var bytes: [UInt8] = []

  /// - Returns: nil where the target or a field has a byte that would end its line, or the text of it, and so make others of what follows.
  init?(_ request: ViewRequest) {
    guard request.target.hasOnly({ $0 > 0x20 && $0 != 0x7F }) else { return nil }
    bytes.reserveCapacity(request.body.count + Self.usualHead)
    append("POST ")
    bytes.append(text: request.target)
    append(" HTTP/1.1\r\n")
    for field in request.fields {
      guard field.name.hasOnly(Token.has) else { return nil }
      bytes.append(text: field.name)
      append(": ")
      if field.value.isPrintableASCII {
        bytes.append(text: field.value)
      } else {
        guard field.value.hasOnly(\.isInFieldValue) else { return nil }
        // A field of the client may have bytes that are not UTF-8.
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

extension String {
  /// Whether all of its bytes are such. To ask its `utf8` takes five times as many instructions.
  @inline(__always)
  fileprivate func hasOnly(_ isSuch: (UInt8) -> Bool) -> Bool {
    let bytes = utf8Span.span
    for index in bytes.indices where !isSuch(bytes[index]) { return false }
    return true
  }
}
