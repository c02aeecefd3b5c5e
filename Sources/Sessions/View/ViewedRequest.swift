import GatewayConfig
import Routing
import Transport
import WebSocketCore

/// What a view is told of the request that opens a session, made from its head.
final class ViewedRequest {
  /// Where the questions go: path and query.
  let target: String
  let path: String
  /// Without what may be a token.
  let query: String
  let captures: Captures
  let host: String
  /// Empty for a client of a Unix socket.
  let client: String
  let isSecure: Bool
  /// Those that go with *connect*.
  let connect: ViewQuestion.ConnectDetails

  init(
    target: String, path: String, query: String = "", captures: Captures = Captures(), host: String,
    client: String, isSecure: Bool, connect: ViewQuestion.ConnectDetails
  ) {
    self.target = target
    self.path = path
    self.query = query
    self.captures = captures
    self.host = host
    self.client = client
    self.isSecure = isSecure
    self.connect = connect
  }

  /// - Parameter hidden: the parameters of the query that may hold a token.
  /// - Returns: nil where the path leads to no question.
  convenience init?(
    _ view: ViewConfiguration, _ request: RequestHead, _ path: RequestPath, _ place: RequestPlace,
    _ handshake: Handshake, from client: Client, hidden: [String]
  ) {
    guard let target = view.question.target(for: place.captures, long: view.longCaptures) else { return nil }
    let uri = place.uri(without: hidden)
    self.init(
      target: target, path: "/" + path.text,
      query: uri.utf8.firstIndex(of: UInt8(ascii: "?")).map { String(uri[uri.utf8.index(after: $0)...]) }
        ?? "",
      captures: place.captures, host: client.host(handshake.host), client: client.peer.host ?? "",
      isSecure: client.isSecure,
      connect: ViewQuestion.ConnectDetails(
        subprotocols: handshake.subprotocols.filter { !$0.hasPrefix(Credentials.subprotocolMark) },
        fields: request.fields.filter { view.question.headers.contains($0.name) }))
  }
}
