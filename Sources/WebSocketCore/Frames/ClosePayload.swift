import Bytes

/// The payload of a close frame (RFC 6455 section 5.5.1).
public enum ClosePayload {
  private static let longestReason = 123

  /// The code and the reason. A long reason is cut between two characters to fit into a control frame.
  public static func encode(_ code: CloseCode, reason: String) -> [UInt8] {
    let bytes = Array(reason.utf8)
    var end = min(bytes.count, longestReason)
    // 10xxxxxx continues a character.
    while end < bytes.count, bytes[end] & 0xC0 == 0x80 { end -= 1 }
    return head(code) + bytes[..<end]
  }

  /// The client's own code and reason, sent back.
  public static func encode(_ code: CloseCode, reason: RawSpan) -> [UInt8] {
    head(code) + [UInt8](copying: reason)
  }

  private static func head(_ code: CloseCode) -> [UInt8] {
    [UInt8(code.rawValue >> 8), UInt8(truncatingIfNeeded: code.rawValue)]
  }
}
