import HTTPTypes
import Hummingbird
import Sessions
import WebSocketCore

extension EventRoute {
  /// Answers what is no GET: only such a request opens a stream, and never comes to the HTTP side.
  ///
  /// - Parameter crossOrigin: what the answer says about the page's origin, which may have the stream.
  func respond(to request: Request, _ crossOrigin: [HeaderField]) -> Response {
    switch request.method {
    case .head:
      return Response(status: .ok, headers: HTTPFields(Self.fields + crossOrigin))
    case .options:
      var response = Response(status: .noContent, headers: HTTPFields(crossOrigin))
      response.headers[.allow] = Self.methods
      // Scripts that read the stream themselves may send a token, which browsers ask about first.
      response.headers[.accessControlAllowMethods] = "GET"
      response.headers[.accessControlAllowHeaders] = "Authorization, Cache-Control, Last-Event-ID"
      response.headers[.accessControlMaxAge] = "600"
      return response
    default:
      // Its row has no line.
      var response = Response(.onlyGET)
      response.headers.append(contentsOf: HTTPFields(crossOrigin))
      return response
    }
  }
}
