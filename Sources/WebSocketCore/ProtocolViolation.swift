/// A peer's violation of RFC 6455. It ends the connection (section 7.1.7).
public enum ProtocolViolation: Error, Sendable, Hashable, CaseIterable {
  /// Section 5.1.
  case unmaskedFrame
  /// Section 5.1, for a server's frame.
  case maskedFrame
  /// Section 5.2: no negotiated extension uses the bit. With RFC 7692 the first bit is used, but only in the first frame of a
  /// message (section 6.1).
  case reservedBits
  /// Section 5.2.
  case reservedOpcode
  /// Section 5.2: a length must take the fewest bytes, and the top bit of a long one is 0.
  case badLength
  /// Section 5.5.
  case fragmentedControlFrame
  /// Section 5.5.
  case controlFrameTooLong
  /// Section 5.4: a continuation without a beginning.
  case unexpectedContinuation
  /// Section 5.4: a new message before the last one ended.
  case unfinishedMessage
  /// Section 5.5.1: one byte, or a code that may not be sent.
  case badClosePayload
  /// Section 8.1.
  case invalidUTF8
  /// RFC 7692 section 7.2.2: the payload is not valid DEFLATE.
  case badCompression
  /// Section 10.4, `limits.message`.
  case messageTooBig

  public var closeCode: CloseCode {
    switch self {
    case .unmaskedFrame, .maskedFrame, .reservedBits, .reservedOpcode, .badLength, .fragmentedControlFrame,
      .controlFrameTooLong, .unexpectedContinuation, .unfinishedMessage, .badClosePayload:
      .protocolError
    case .invalidUTF8, .badCompression: .invalidData
    case .messageTooBig: .messageTooBig
    }
  }
}

extension ProtocolViolation: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unmaskedFrame: "a frame was not masked"
    case .maskedFrame: "a frame was masked"
    case .reservedBits: "a reserved bit was set"
    case .reservedOpcode: "an unknown opcode"
    case .badLength: "a malformed frame length"
    case .fragmentedControlFrame: "a control frame was fragmented"
    case .controlFrameTooLong: "a control frame was longer than 125 bytes"
    case .unexpectedContinuation: "a continuation frame without a message"
    case .unfinishedMessage: "a new message inside a fragmented one"
    case .badClosePayload: "a malformed close frame"
    case .invalidUTF8: "text that is not UTF-8"
    case .badCompression: "compressed data that cannot be unpacked"
    case .messageTooBig: "a message larger than allowed"
    }
  }
}
