package import GatewayConfig
import WebSocketCore

/// Passes every message on to an upstream WebSocket server unchanged, and its messages back to the client.
public final class Proxy: Sendable {
  package let upstream: UpstreamConfiguration

  init(upstream: UpstreamConfiguration) {
    self.upstream = upstream
  }

  func received(_ kind: MessageKind, _ payload: RawSpan, from session: some ConsumerSession) {
    session.forward(kind, payload)
  }
}
