import HTTPTypes
import Hummingbird
import Sessions
import WebSocketCore

extension EventRoute {
  /// Answers what is no GET: only such a request opens a stream, and never comes to the HTTP side.
  ///
  /// - Parameter crossOrigin: what the answer says about the page's origin, which may have the stream.
  func respond(to request: Request, _ crossOrigin: [HeaderField]) -> Response {
    var response: Response =
      switch request.method {
      case .head: .init(status: .ok, headers: HTTPFields(Self.fields))
      // Scripts that read the stream themselves may send a token, which browsers ask about first.
      case .options:
        .options(
          allow: Self.methods, methods: "GET", fields: "Authorization, Cache-Control, Last-Event-ID")
      // Its row has no line.
      default: .init(.onlyGET)
      }
    response.headers.append(contentsOf: HTTPFields(crossOrigin))
    return response
  }
}
