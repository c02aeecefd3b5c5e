import GatewayConfig
import HTTPTypes
import Hummingbird
import WebSocketCore

extension Credentials {
  /// The credentials in an HTTP request.
  ///
  /// - Parameter query: the query of its target.
  init(of request: Request, query: String?, from client: Client) {
    self.init(
      fields: request.headers.map { HeaderField(name: $0.name.canonicalName, value: $0.value) },
      query: query, host: request.head.authority ?? "", client: client)
  }
}
