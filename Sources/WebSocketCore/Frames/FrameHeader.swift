/// The header of a frame from the server: unmasked, 2 to 10 bytes (RFC 6455 section 5.2).
package struct FrameHeader: Sendable {
  private var bytes: InlineArray<10, UInt8>
  private let count: Int

  /// - Parameter payloadLength: in bytes; the fewest bytes that can say it are used.
  package init(opcode: Opcode, payloadLength: Int, isFinal: Bool = true) {
    bytes = .init(repeating: 0)
    bytes[0] = (isFinal ? 0x80 : 0) | opcode.rawValue
    switch payloadLength {
    case 0...125:
      bytes[1] = UInt8(payloadLength)
      count = 2
    case 126...0xFFFF:
      bytes[1] = 126
      bytes[2] = UInt8(truncatingIfNeeded: payloadLength >> 8)
      bytes[3] = UInt8(truncatingIfNeeded: payloadLength)
      count = 4
    default:
      bytes[1] = 127
      for index in 0..<8 {
        bytes[2 + index] = UInt8(truncatingIfNeeded: payloadLength >> (56 - 8 * index))
      }
      count = 10
    }
  }

  package func withBytes<Result>(_ body: (RawSpan) -> Result) -> Result {
    unsafe body(bytes.span.bytes.extracting(first: count))
  }
}
