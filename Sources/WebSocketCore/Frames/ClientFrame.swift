import Bytes

/// Frames from a client: masked, each with a key of its own (RFC 6455 section 5.3).
public enum ClientFrame {
  /// Appends one unfragmented frame.
  ///
  /// - Parameter mask: must not be predictable for the author of the payload.
  public static func append(
    _ opcode: Opcode, _ payload: RawSpan, mask: UInt32 = .random(in: 0...(.max)), to bytes: inout [UInt8]
  ) {
    let header = FrameHeader(opcode: opcode, payloadLength: payload.byteCount)
    let masked = header.bytes | 0x80 << 8
    for index in 0..<header.count { bytes.append(UInt8(truncatingIfNeeded: masked >> UInt128(8 * index))) }
    for shift in stride(from: UInt32(0), to: 32, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: mask >> shift))
    }
    let start = bytes.count
    bytes.append(copying: payload)
    let end = bytes.count
    var raw = bytes.mutableRawBytes
    Masking.apply(mask, to: &raw, start..<end, from: 0)
  }
}
