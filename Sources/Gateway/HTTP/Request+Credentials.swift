import GatewayConfig
import HTTPTypes
import Hummingbird
import Sessions
import WebSocketCore

extension Credentials {
  /// The credentials in an HTTP request.
  ///
  /// - Parameter query: the query of its target.
  init(of request: Request, query: String?, from client: Client) {
    self.init(
      inFields: request.headers.map { HeaderField(name: $0.name.canonicalName, value: $0.value) },
      query: query, host: request.head.authority ?? "", client: client)
  }
}

extension ProcessState {
  /// The client of a request on the HTTP service, and the answer where its address has too many connections. A proxy sends
  /// requests of many clients on one connection, so each has its own place while it is answered, and none counts as a handshake.
  func client(of request: Request, behind direct: Client) -> (client: Client, refusal: Response?) {
    let fields = request.headers.lazy.filter { Client.isForwarding($0.name.canonicalName) }
      .map { HeaderField(name: $0.name.canonicalName, value: $0.value) }
    let (client, refusal) = client(of: fields, behind: direct, isHandshake: false)
    guard let refusal else { return (client, nil) }
    counters.refusals.up()
    return (client, Response(refusal.reason))
  }
}
