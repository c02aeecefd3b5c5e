import Bytes
import NIOHTTP1
package import Transport
package import WebSocketCore

/// An answer to an HTTP request, without what its connection adds: `Content-Length`, `Date`, and whether the connection goes on.
package struct HTTPAnswer {
  package var status: Int
  /// Without `Content-Length`. A `Connection` field says what else there is to say of the connection.
  package var fields: [HeaderField]
  /// Left out in the answer to HEAD, but counted.
  package var body: [UInt8]
  /// Kept until the client has been sent the whole answer.
  package var share: MemoryShare?

  package init(
    status: Int, fields: [HeaderField] = [], body: [UInt8] = [], share: MemoryShare? = nil
  ) {
    self.status = status
    self.fields = fields
    self.body = body
    self.share = share
  }

  /// What becomes of the connection behind the answer (RFC 9112 section 9.3).
  package enum Sequel {
    /// Another request may follow.
    case next
    /// The same, for a client with HTTP/1.0, which has to be told.
    case nextOfOldClient
    case close
  }
}

extension HTTPAnswer {
  /// A line of text.
  package static func plain(_ status: Int, _ text: String, _ fields: [HeaderField] = []) -> HTTPAnswer {
    HTTPAnswer(
      status: status,
      fields: [
        HeaderField(name: "Content-Type", value: "text/plain; charset=utf-8"),
        HeaderField(name: "Cache-Control", value: "no-store"),
      ] + fields, body: Array((text + "\n").utf8))
  }

  /// The text of the refusal as one line, and its fields.
  package init(_ refusal: Refusal) {
    self = .plain(refusal.answerStatus, refusal.text, refusal.fields)
  }

  /// The answer to OPTIONS: what there is, and what pages of other origins may send (the Fetch standard, section 3.2).
  package static func options(allow: String, methods: String, fields: String) -> HTTPAnswer {
    HTTPAnswer(
      status: 204,
      fields: [
        HeaderField(name: "Allow", value: allow),
        HeaderField(name: "Access-Control-Allow-Methods", value: methods),
        HeaderField(name: "Access-Control-Allow-Headers", value: fields),
        HeaderField(name: "Access-Control-Max-Age", value: "600"),
      ])
  }
}

// MARK: - Its bytes

extension HTTPAnswer {
  /// The whole answer as it is sent.
  ///
  /// - Parameters:
  ///   - date: for `Date` (RFC 9110 section 6.6.1), which a field of the answer goes before; nil for none.
  ///   - minorVersion: of the client's HTTP/1.
  package func bytes(
    _ sequel: Sequel, isToHEAD: Bool = false, date: String?, minorVersion: Int = 1
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(256 + body.count)
    appendStatusLine(minorVersion, to: &bytes)
    var options: [String] = []
    var isDated = false
    for field in fields {
      switch field.name.utf8.count {
      case 10 where field.name.lowercased() == "connection": options.append(field.value)
      case 4 where field.name.lowercased() == "date":
        isDated = true
        fallthrough
      default: Self.append(field.name, field.value, to: &bytes)
      }
    }
    switch sequel {
    case .next: break
    case .nextOfOldClient: options = ["keep-alive"]
    case .close: options = ["close"] + options.filter { $0.lowercased() != "close" }
    }
    if !options.isEmpty { Self.append("Connection", options.joined(separator: ", "), to: &bytes) }
    if let date, !isDated { Self.append("Date", date, to: &bytes) }
    if let length { Self.append("Content-Length", String(length), to: &bytes) }
    bytes.append(copying: Self.lineEnd.rawBytes)
    if let opaque = OpaqueText.unescaped(bytes) { bytes = opaque }
    if mayHaveBody, !isToHEAD { bytes += body }
    return bytes
  }

  private static let ok: StaticString = "HTTP/1.1 200 OK\r\n"
  private static let colon: StaticString = ": "
  private static let lineEnd: StaticString = "\r\n"

  private func appendStatusLine(_ minorVersion: Int, to bytes: inout [UInt8]) {
    guard status != 200 || minorVersion == 0 else { return bytes.append(copying: Self.ok.rawBytes) }
    let reason = HTTPResponseStatus(statusCode: status).reasonPhrase
    bytes += "HTTP/1.\(minorVersion == 0 ? 0 : 1) \(status) \(reason)\r\n".utf8
  }

  /// RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5.
  private var mayHaveBody: Bool { status != 204 && status != 205 && status != 304 }

  /// Nil for an answer that must not have one (RFC 9110 section 8.6).
  private var length: Int? {
    switch status {
    case 204, 304: nil
    case 205: 0
    default: body.count
    }
  }

  private static func append(_ name: String, _ value: String, to bytes: inout [UInt8]) {
    bytes.append(text: name)
    bytes.append(copying: colon.rawBytes)
    bytes.append(text: value)
    bytes.append(copying: lineEnd.rawBytes)
  }
}
