/// The header of a frame from the server: unmasked, 2 to 10 bytes (RFC 6455 section 5.2).
///
/// It is one number with the first byte lowest, so that building a frame needs no array and no call for its header.
public struct FrameHeader: Sendable, Equatable {
  public let bytes: UInt128
  /// The length of the header in bytes.
  public let count: Int

  /// - Parameters:
  ///   - payloadLength: in bytes; it is encoded in the fewest bytes that can hold it.
  ///   - isCompressed: by permessage-deflate (RFC 7692 section 6).
  @inlinable
  public init(opcode: Opcode, payloadLength: Int, isFinal: Bool = true, isCompressed: Bool = false) {
    let first = UInt128((isFinal ? 0x80 : 0) | (isCompressed ? 0x40 : 0) | opcode.rawValue)
    switch payloadLength {
    case 0...125:
      bytes = first | UInt128(truncatingIfNeeded: payloadLength) << 8
      count = 2
    case 126...0xFFFF:
      bytes = first | 126 << 8 | UInt128(UInt16(truncatingIfNeeded: payloadLength).byteSwapped) << 16
      count = 4
    default:
      bytes = first | 127 << 8 | UInt128(UInt64(truncatingIfNeeded: payloadLength).byteSwapped) << 16
      count = 10
    }
  }
}
