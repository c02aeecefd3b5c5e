import Bytes

/// The payload of a close frame (RFC 6455 section 5.5.1).
public enum ClosePayload {
  private static let longestReason = 123

  /// The code and the reason. A long reason is cut between two characters to fit into a control frame.
  public static func encode(_ code: CloseCode, reason: String) -> [UInt8] {
    var end = reason.utf8.count
    if end > longestReason {
      var index = reason.startIndex
      end = 0
      while index < reason.endIndex {
        let next = reason.unicodeScalars.index(after: index)
        let length = reason.utf8.distance(from: reason.startIndex, to: next)
        guard length <= longestReason else { break }
        end = length
        index = next
      }
    }
    return head(code) + reason.utf8.prefix(end)
  }

  /// The client's own code and reason, sent back.
  public static func encode(_ code: CloseCode, reason: RawSpan) -> [UInt8] {
    head(code) + (0..<reason.byteCount).map { reason[$0] }
  }

  private static func head(_ code: CloseCode) -> [UInt8] {
    [UInt8(code.rawValue >> 8), UInt8(truncatingIfNeeded: code.rawValue)]
  }
}
