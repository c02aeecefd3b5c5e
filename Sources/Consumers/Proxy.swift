package import GatewayConfig
import WebSocketCore

/// Lets another WebSocket server answer: every message goes on to it as it was, and what it says goes to the client.
public final class Proxy: Sendable {
  package let upstream: UpstreamConfiguration

  init(upstream: UpstreamConfiguration) {
    self.upstream = upstream
  }

  func received(_ kind: MessageKind, _ payload: RawSpan, from session: some ConsumerSession) {
    session.forward(kind, payload)
  }
}
