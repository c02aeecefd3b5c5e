import Bytes

/// A frame that this server has encoded: the place of its payload, so that the frame can be encoded anew.
public struct ServerFrame: Sendable, Equatable {
  public var opcode: Opcode
  public var payload: Range<Int>

  /// - Parameter start: of a complete, unmasked frame in `bytes`. The result is nil if there is none.
  public init?(_ bytes: RawSpan, at start: Int) {
    guard start + 2 <= bytes.byteCount, let opcode = Opcode(rawValue: bytes[start] & 0x0F) else { return nil }
    let lengthBytes =
      switch bytes[start + 1] {
      case 126: 2
      case 127: 8
      default: 0
      }
    let payloadStart = start + 2 + lengthBytes
    guard payloadStart <= bytes.byteCount else { return nil }
    var length = lengthBytes == 0 ? Int(bytes[start + 1]) : 0
    for offset in start + 2..<payloadStart { length = length << 8 | Int(bytes[offset]) }
    guard length >= 0, length <= bytes.byteCount - payloadStart else { return nil }
    self.opcode = opcode
    payload = payloadStart..<payloadStart + length
  }
}
