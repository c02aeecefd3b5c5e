import WebSocketCore

/// The behaviour of a connection in a load. Every call comes on the reactor of the connection.
protocol ClientPart: AnyObject {
  /// Whether it publishes, and receives nothing that counts.
  var publishes: Bool { get }

  /// The handshake is done, or the first request is answered.
  func opened(_ client: LoadClient, _ crew: Crew)

  /// All connections are open, and the load begins.
  func begin(_ client: LoadClient, _ crew: Crew)

  /// - Parameter payload: valid during the call only.
  func received(_ kind: MessageKind, _ payload: RawSpan, for client: LoadClient, _ crew: Crew)

  /// A request that the part sent is answered.
  ///
  /// - Parameter isAccepted: false for a refusal, which is counted already.
  func answered(isAccepted: Bool, for client: LoadClient, _ crew: Crew)

  /// The server has ended the connection as it may, and another one is being opened: `reopened` follows, or `ended`.
  func interrupted(_ client: LoadClient, _ crew: Crew)

  /// - Parameter client: the new connection. What was not answered on the old one was not looked at.
  func reopened(_ client: LoadClient, _ crew: Crew)

  /// The server has refused the connection, with a close code, after `opened`. `ended` does not follow.
  func refused(_ crew: Crew)

  /// The connection has ended, whether that was intended or not.
  func ended(_ crew: Crew)
}

extension ClientPart {
  var publishes: Bool { false }
  func opened(_ client: LoadClient, _ crew: Crew) {}
  func begin(_ client: LoadClient, _ crew: Crew) {}
  func received(_ kind: MessageKind, _ payload: RawSpan, for client: LoadClient, _ crew: Crew) {}
  func answered(isAccepted: Bool, for client: LoadClient, _ crew: Crew) {}
  func interrupted(_ client: LoadClient, _ crew: Crew) {}
  func reopened(_ client: LoadClient, _ crew: Crew) {}
  func refused(_ crew: Crew) { ended(crew) }
  func ended(_ crew: Crew) {}
}
