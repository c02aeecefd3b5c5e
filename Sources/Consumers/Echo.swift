import WebSocketCore

/// Sends every text and binary message back unchanged.
public struct Echo: Sendable {
  func received(_ kind: MessageKind, _ payload: RawSpan, from session: some ConsumerSession) {
    session.send(kind, payload)
  }
}
