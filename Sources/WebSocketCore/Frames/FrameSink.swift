/// Whether a decoder goes on with what it was given.
public enum Flow: Sendable {
  case proceed
  /// Nothing more for now: the rest is for a later call.
  case pause
  /// The session is over; the rest is not looked at.
  case stop
}

/// Gets what the frames of a client say, in their order.
///
/// The payloads are valid during the call only.
public protocol FrameSink: AnyObject {
  /// A whole message; text is UTF-8.
  func message(_ kind: MessageKind, _ payload: RawSpan) -> Flow
  func ping(_ payload: RawSpan) -> Flow
  func pong(_ payload: RawSpan) -> Flow
  /// - Parameter code: nil where the frame carried none (1005 in the API of browsers); otherwise one that may be sent.
  func close(_ code: CloseCode?, _ reason: RawSpan) -> Flow
  /// Asked between frames, once for so many bytes of them (`MessageDecoder.stride`): whether the decoder may go on, or others are to
  /// have their turn. What it answers when the last byte has been dealt with changes nothing.
  func mayGoOn() -> Bool
}

extension FrameSink {
  public func mayGoOn() -> Bool { true }
}
