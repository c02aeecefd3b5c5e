import GatewayConfig
import HTTPTypes
import Hummingbird
import NIOCore
import WebSocketCore

extension Credentials {
  /// What an HTTP request shows.
  ///
  /// - Parameter query: of its target.
  init(of request: Request, query: String?, from client: Client) {
    self.init(
      fields: request.headers.map { HeaderField(name: $0.name.canonicalName, value: $0.value) },
      query: query, host: request.head.authority ?? "", client: client)
  }
}

extension Response {
  /// The answer to a client that is not let in.
  init(_ refusal: AuthRefusal) {
    var fields = HTTPFields()
    for field in refusal.fields {
      guard let name = HTTPField.Name(field.name) else { continue }
      fields.append(HTTPField(name: name, value: field.value))
    }
    fields[.cacheControl] = "no-store"
    self.init(
      status: HTTPResponse.Status(code: refusal.status), headers: fields,
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: refusal.body)))
  }

  /// The answer where it cannot be found out who a client is.
  static var identityUnavailable: Response {
    var response = Response.plain(
      .serviceUnavailable, "Who the client is cannot be found out now; try again later.")
    response.headers[.retryAfter] = "5"
    return response
  }
}
