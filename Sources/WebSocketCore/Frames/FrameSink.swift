/// Whether a decoder continues with its bytes.
public enum Flow: Sendable {
  case proceed
  /// Stop for now. The rest is for a later call.
  case pause
  /// The session is over. The rest is ignored.
  case stop
}

/// Receives the messages and control frames of a peer, in their order.
///
/// The payloads are valid during the call only.
public protocol FrameSink: AnyObject {
  /// A whole message; text is UTF-8.
  func message(_ kind: MessageKind, _ payload: RawSpan) -> Flow
  func ping(_ payload: RawSpan) -> Flow
  func pong(_ payload: RawSpan) -> Flow
  /// - Parameter code: nil if the frame carried none (1005 in the API of browsers); otherwise one that is valid on the wire.
  func close(_ code: CloseCode?, _ reason: RawSpan) -> Flow
  /// Asked between frames, once for every `MessageDecoder.stride` bytes: whether the decoder may continue, or has to let other
  /// connections have their turn. The answer is ignored if the last byte has been decoded.
  func mayGoOn() -> Bool
}

extension FrameSink {
  public func mayGoOn() -> Bool { true }
}
