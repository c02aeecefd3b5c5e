import TestSupport
import Testing

@testable import WebSocketCore

private func clientFrame(_ opcode: Opcode, _ payload: [UInt8], mask: UInt32) -> [UInt8] {
  var bytes: [UInt8] = [0xEE]
  unsafe ClientFrame.append(opcode, payload.span.bytes, mask: mask, to: &bytes)
  #expect(bytes.first == 0xEE)
  return Array(bytes.dropFirst())
}

struct ClientFrameTests {
  /// RFC 6455 section 5.7: "Hello", masked.
  @Test func `the example of the RFC`() {
    #expect(
      clientFrame(.text, Array("Hello".utf8), mask: 0x3D21_FA37) == [
        0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58,
      ])
  }

  @Test(arguments: [0, 1, 7, 8, 9, 125, 126, 65535, 65536])
  func `a server's decoder reads it`(_ length: Int) {
    let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    #expect(decode([clientFrame(.binary, payload, mask: 0x0102_0384)]).heard == [.binary(payload)])
  }

  @Test func `a mask is different each time`() {
    var one: [UInt8] = []
    var other: [UInt8] = []
    unsafe ClientFrame.append(.text, [1, 2, 3].span.bytes, to: &one)
    unsafe ClientFrame.append(.text, [1, 2, 3].span.bytes, to: &other)
    #expect(one != other)
  }
}

struct ServerFrameTests {
  private func hear(_ pieces: [[UInt8]], maximum: Int = 1 << 20) -> ([Heard], ProtocolViolation?) {
    decode(pieces, maximum: maximum, from: .server)
  }

  @Test(arguments: [0, 1, 125, 126, 65535, 65536])
  func `frames without a mask are read, whole and byte by byte`(_ length: Int) {
    let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 5) }
    let bytes = frame(0x82, payload, mask: nil)
    let both: [Heard] = [.binary(payload), .text("é")]
    let whole = bytes + frame(0x81, Array("é".utf8), mask: nil)
    #expect(hear([whole]) == (both, nil))
    if length < 1000 { #expect(hear(whole.map { [$0] }) == (both, nil)) }
  }

  @Test func `a mask is a violation, and found in the second byte`() {
    #expect(hear([frame(0x81, [0x41])]).1 == .maskedFrame)
    #expect(hear([[0x81], [0x80]]).1 == .maskedFrame)
  }

  @Test func `everything else is judged as for a client`() {
    #expect(hear([frame(0x81, [0xFF], mask: nil)]).1 == .invalidUTF8)
    #expect(hear([frame(0xC1, [], mask: nil)]).1 == .reservedBits)
    #expect(hear([frame(0x80, [], mask: nil)]).1 == .unexpectedContinuation)
    #expect(hear([frame(0x82, [1, 2, 3], mask: nil)], maximum: 2).1 == .messageTooBig)
    #expect(
      hear([frame(0x88, [0x03, 0xE8] + Array("bye".utf8), mask: nil)]) == ([.close(1000, "bye")], nil))
  }
}
