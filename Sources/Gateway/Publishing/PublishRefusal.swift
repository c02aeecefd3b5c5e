import HTTPTypes
import Hummingbird
import JSON
import NIOCore

/// Why a request on a `publish` route is refused: its status, and a sentence for the client.
struct PublishRefusal: Error {
  var status: HTTPResponse.Status
  var message: String
  var fields: HTTPFields = [:]
  /// Further fields of the line in the log, which are not for the client.
  var facts: [String: String] = [:]

  init(
    _ status: HTTPResponse.Status, _ message: String, fields: HTTPFields = [:], facts: [String: String] = [:]
  ) {
    self.facts = facts
    self.status = status
    self.message = message
    self.fields = fields
  }

  var statusCode: Int { status.code }

  /// `{"error": message}`
  var response: Response {
    .json(status, .object([.init(key: "error", value: .string(message))]), fields: fields)
  }
}

extension Response {
  /// The same answer, which keeps a share of memory until the client has received it.
  func holding(_ share: MemoryShare) -> Response {
    let whole = body
    var response = self
    response.body = ResponseBody(contentLength: whole.contentLength) { writer in
      try await whole.write(writer)
      withExtendedLifetime(share) {}
    }
    return response
  }

  static func json(_ status: HTTPResponse.Status, _ value: JSON, fields: HTTPFields = [:]) -> Response {
    var text: [UInt8] = []
    value.append(to: &text)
    text.append(UInt8(ascii: "\n"))
    return .json(status, text: text, fields: fields)
  }

  static func json(_ status: HTTPResponse.Status, text: [UInt8], fields: HTTPFields = [:]) -> Response {
    var all: HTTPFields = [.contentType: "application/json", .cacheControl: "no-store"]
    all.append(contentsOf: fields)
    return Response(status: status, headers: all, body: ResponseBody(byteBuffer: ByteBuffer(bytes: text)))
  }
}
