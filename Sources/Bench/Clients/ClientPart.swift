import WebSocketCore

/// The behaviour of a connection in a load. Every call comes on the reactor of the connection.
protocol ClientPart: AnyObject {
  /// The handshake is done.
  func opened(_ client: LoadClient, _ crew: Crew)

  /// All connections are open, and the load begins.
  func begin(_ client: LoadClient, _ crew: Crew)

  /// - Parameter payload: valid during the call only.
  func received(_ kind: MessageKind, _ payload: RawSpan, for client: LoadClient, _ crew: Crew)

  /// The connection has ended, whether that was intended or not.
  func ended(_ client: LoadClient, _ crew: Crew)
}

extension ClientPart {
  func opened(_ client: LoadClient, _ crew: Crew) {}
  func begin(_ client: LoadClient, _ crew: Crew) {}
  func received(_ kind: MessageKind, _ payload: RawSpan, for client: LoadClient, _ crew: Crew) {}
  func ended(_ client: LoadClient, _ crew: Crew) {}
}
