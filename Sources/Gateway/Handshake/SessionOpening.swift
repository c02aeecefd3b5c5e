import Consumers
import GatewayConfig
import Routing
import WebSocketCore

/// A WebSocket hand-shake that passed every check: the session it opens.
struct SessionOpening {
  var route: SessionRoute
  var group: String?
  /// The bytes of the 101 answer.
  var response: [UInt8]
}

extension Worker {
  /// Checks a hand-shake in the order in which a client can mend it: its path, its form, its origin, then our own state.
  func decide(_ request: RequestHead, _ admission: Admission) -> Result<SessionOpening, HandshakeRefusal> {
    guard isServing else { return .failure(HandshakeRefusal(.stopping)) }
    guard case .success(let path) = RequestPath.decode(target: request.target) else {
      return .failure(HandshakeRefusal(.badPath))
    }
    guard let match = gateway.application.webSocketRouter.match(path) else {
      return .failure(HandshakeRefusal(.noRoute))
    }
    let route = gateway.routes[match.route]
    return Handshake.read(request).flatMap { handshake in
      guard route.configuration.origins.allows(origin: handshake.origin, host: handshake.host) else {
        return .failure(HandshakeRefusal(.originNotAllowed))
      }
      var group: String?
      if let template = route.consumer.group {
        group = template.name(for: match.captures)
        // A name the channel layer would not take, for one because it is too long: nothing is there.
        if group == nil { return .failure(HandshakeRefusal(.noRoute)) }
      }
      guard admission == .session else {
        return .failure(HandshakeRefusal(.tooManyConnections))
      }
      let subprotocol = handshake.chooseSubprotocol(from: route.configuration.subprotocols)
      return .success(
        SessionOpening(route: route, group: group, response: handshake.response(subprotocol: subprotocol)))
    }
  }
}
