import GatewayConfig
import HTTPTypes
import Hummingbird
import JSON
import NIOCore
import Sessions
import Transport
import WebSocketCore

/// Why a request on a `publish` route is refused: a row of the table of refusals, whose answer is JSON.
struct PublishRefusal: Error {
  let row: Refusal
  /// Further fields of the line in the log, which are not for the client.
  let facts: [String: String]

  /// - Parameters:
  ///   - text: the sentence for the client; nil for that of the row.
  ///   - fields: header fields besides those of the row.
  init(_ row: Refusal, _ text: String? = nil, fields: [HeaderField] = [], facts: [String: String] = [:]) {
    var row = row
    row.text = text ?? row.text
    row.fields += fields
    self.row = row
    self.facts = facts
  }

  init(malformed text: String) {
    self.init(.publishMalformed, text)
  }

  /// - Parameter kind: of what has the name: `member`.
  init(unknown kind: String, _ name: String, in what: String, known: [String]) {
    let name = RequestObject.shown(name)
    let hint = NearestName.hint(for: name, in: known).map { ": \($0)" } ?? ""
    self.init(malformed: "unknown \(kind) \"\(name)\" in \(what)\(hint)")
  }

  /// `{"error": TEXT}`
  var answer: HTTPAnswer {
    let error: JSON = ["error": .string(row.text)]
    return HTTPAnswer(
      status: row.answerStatus,
      fields: [
        HeaderField(name: "Content-Type", value: "application/json"),
        HeaderField(name: "Cache-Control", value: "no-store"),
      ] + row.fields, body: error.bytes + "\n".utf8)
  }

  var response: Response { Response(answer) }
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
    .json(status, text: value.bytes + "\n".utf8, fields: fields)
  }

  static func json(_ status: HTTPResponse.Status, text: [UInt8], fields: HTTPFields = [:]) -> Response {
    var all: HTTPFields = [.contentType: "application/json", .cacheControl: "no-store"]
    all.append(contentsOf: fields)
    return Response(status: status, headers: all, body: ResponseBody(byteBuffer: ByteBuffer(bytes: text)))
  }
}
