import Bytes
import TestSupport
import Testing

@testable import WebSocketCore

/// What a decoder said, in order.
enum Heard: Equatable {
  case text(String)
  case binary([UInt8])
  case ping([UInt8])
  case pong([UInt8])
  case close(UInt16?, String)
}

final class Listener: FrameSink {
  var heard: [Heard] = []

  func message(_ kind: MessageKind, _ payload: RawSpan) -> Flow {
    let bytes = [UInt8](copying: payload)
    heard.append(kind == .text ? .text(String(decoding: bytes, as: UTF8.self)) : .binary(bytes))
    return .proceed
  }

  func ping(_ payload: RawSpan) -> Flow {
    heard.append(.ping([UInt8](copying: payload)))
    return .proceed
  }

  func pong(_ payload: RawSpan) -> Flow {
    heard.append(.pong([UInt8](copying: payload)))
    return .proceed
  }

  func close(_ code: CloseCode?, _ reason: RawSpan) -> Flow {
    heard.append(.close(code?.rawValue, String(decoding: [UInt8](copying: reason), as: UTF8.self)))
    return .stop
  }
}

/// A client's frame.
func frame(
  _ first: UInt8, _ payload: [UInt8], mask: [UInt8]? = [0x37, 0xFA, 0x21, 0x3D]
) -> [UInt8] {
  var bytes = [first]
  let maskBit: UInt8 = mask == nil ? 0 : 0x80
  switch payload.count {
  case 0...125: bytes.append(maskBit | UInt8(payload.count))
  case 126...0xFFFF: bytes += [maskBit | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
  default:
    bytes += [maskBit | 127] + (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> (56 - 8 * $0)) }
  }
  guard let mask else { return bytes + payload }
  return bytes + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
}

/// Feeds the pieces, one `decode` each.
func decode(
  _ pieces: [[UInt8]], maximum: Int = 1 << 20, from origin: FrameOrigin = .client, inflater: Inflater? = nil
) -> (heard: [Heard], violation: ProtocolViolation?) {
  let listener = Listener()
  var decoder = MessageDecoder(maximumMessage: maximum, from: origin, inflater: inflater)
  for piece in pieces {
    var bytes = piece
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    do throws(ProtocolViolation) {
      try decoder.decode(&raw, into: listener)
    } catch {
      return (listener.heard, error)
    }
    if case .close = listener.heard.last { break }
  }
  return (listener.heard, nil)
}

/// The same bytes at once and one by one.
func expect(
  _ bytes: [UInt8], _ heard: [Heard], _ violation: ProtocolViolation? = nil, maximum: Int = 1 << 20,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  let whole = decode([bytes], maximum: maximum)
  #expect(whole.heard == heard, sourceLocation: sourceLocation)
  #expect(whole.violation == violation, sourceLocation: sourceLocation)
  let single = decode(bytes.map { [$0] }, maximum: maximum)
  #expect(single.heard == heard, sourceLocation: sourceLocation)
  #expect(single.violation == violation, sourceLocation: sourceLocation)
}

struct MessageDecoderTests {
  // MARK: Section 5.1 and 5.2

  @Test func `the example of section 5.7 is heard`() {
    expect([0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58], [.text("Hello")])
  }

  @Test func `an unmasked frame ends the connection with 1002`() {
    expect([0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F], [], .unmaskedFrame)
    #expect(ProtocolViolation.unmaskedFrame.closeCode == .protocolError)
  }

  @Test(arguments: [0xC1, 0xA1, 0x91, 0xF1] as [UInt8])
  func `a reserved bit is refused`(_ first: UInt8) {
    expect(frame(first, []), [], .reservedBits)
  }

  @Test(arguments: [0x83, 0x84, 0x85, 0x86, 0x87, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F] as [UInt8])
  func `a reserved opcode is refused`(_ first: UInt8) {
    expect(frame(first, []), [], .reservedOpcode)
  }

  @Test func `a length must take the fewest bytes`() {
    expect([0x82, 0xFE, 0x00, 0x7D, 0, 0, 0, 0], [], .badLength)
    expect([0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0], [], .badLength)
    expect([0x82, 0xFF, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], [], .badLength)
  }

  @Test(arguments: [0, 1, 7, 8, 9, 125, 126, 127, 128, 65535, 65536, 65537])
  func `payloads of every length form arrive`(_ length: Int) {
    let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    #expect(decode([frame(0x82, payload)]).heard == [.binary(payload)])
  }

  // MARK: Section 5.4

  @Test func `fragments become one message, and control frames may stand between them`() {
    let bytes =
      frame(0x01, Array("Hel".utf8)) + frame(0x89, [1]) + frame(0x00, []) + frame(0x80, Array("lo".utf8))
    expect(bytes, [.ping([1]), .text("Hello")])
  }

  @Test func `a continuation needs a beginning, and a beginning an end`() {
    expect(frame(0x80, []), [], .unexpectedContinuation)
    expect(frame(0x81, [0x61]) + frame(0x80, []), [.text("a")], .unexpectedContinuation)
    expect(frame(0x01, [0x61]) + frame(0x82, []), [], .unfinishedMessage)
  }

  @Test func `ten thousand empty fragments cost nothing and end well`() {
    let fragments = Array(repeating: frame(0x00, []), count: 10_000).flatMap(\.self)
    #expect(decode([frame(0x02, [1]) + fragments + frame(0x80, [2])]).heard == [.binary([1, 2])])
  }

  // MARK: Section 5.5

  @Test func `control frames are short and whole`() {
    expect(frame(0x09, []), [], .fragmentedControlFrame)
    expect([0x89, 0xFE, 0, 126], [], .controlFrameTooLong)
    expect(frame(0x8A, Array(repeating: 7, count: 125)), [.pong(Array(repeating: 7, count: 125))])
  }

  @Test func `a close frame carries nothing, or a code and a reason`() {
    expect(frame(0x88, []), [.close(nil, "")])
    expect(frame(0x88, [0x03, 0xE8]), [.close(1000, "")])
    expect(frame(0x88, [0x0F, 0xA0] + Array("bye".utf8)), [.close(4000, "bye")])
    expect(frame(0x88, [0x03]), [], .badClosePayload)
    expect(frame(0x88, [0x03, 0xE8, 0xFF]), [], .invalidUTF8)
  }

  @Test(arguments: [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] as [UInt16])
  func `a close code that may not be sent is refused`(_ code: UInt16) {
    expect(frame(0x88, [UInt8(code >> 8), UInt8(code & 0xFF)]), [], .badClosePayload)
  }

  @Test func `nothing is heard after a close`() {
    expect(frame(0x88, []) + frame(0x81, [0x61]), [.close(nil, "")])
  }

  // MARK: Section 8.1 and 10.4

  @Test func `text that is not UTF-8 fails at the first byte that cannot go on`() {
    expect(frame(0x81, [0xCE, 0xBA, 0xE1, 0xBD, 0xB9]), [.text("κό")])
    expect(frame(0x81, [0xCE]), [], .invalidUTF8)
    // The fault comes with the fourth byte, before the frame is complete.
    let cut = Array(frame(0x81, [0x61, 0xF4, 0x90, 0x80, 0x80, 0x61]).prefix(9))
    #expect(decode([cut]).violation == .invalidUTF8)
  }

  @Test func `a character may be cut by frames and reads`() {
    expect(frame(0x01, [0xE2]) + frame(0x00, [0x82]) + frame(0x80, [0xAC]), [.text("€")])
    expect(frame(0x01, [0xE2]) + frame(0x80, [0x82]), [], .invalidUTF8)
  }

  @Test func `a message over the limit is refused before it comes`() {
    let announced: [UInt8] = [0x82, 0xFF, 0, 0, 0, 0, 0x06, 0x40, 0, 0, 0, 0, 0, 0]
    #expect(decode([announced]).violation == .messageTooBig)
    expect(frame(0x02, [1, 2]) + frame(0x80, [3, 4]), [], .messageTooBig, maximum: 3)
    expect(frame(0x82, [1, 2, 3]), [.binary([1, 2, 3])], maximum: 3)
    #expect(ProtocolViolation.messageTooBig.closeCode == .messageTooBig)
  }

  // MARK: Any cuts, any bytes

  @Test func `however the bytes are cut, the same is heard`() {
    var generator = SplitMix(seed: 3)
    for _ in 0..<300 {
      var bytes: [UInt8] = []
      for _ in 0..<Int.random(in: 1...5, using: &generator) {
        let payload = (0..<Int.random(in: 0...300, using: &generator)).map { _ in
          UInt8.random(in: 0x20...0x7E, using: &generator)
        }
        let opcodes: [UInt8] = [0x81, 0x82, 0x89, 0x8A]
        let first = opcodes.randomElement(using: &generator) ?? 0x81
        bytes += frame(first, first >= 0x89 ? Array(payload.prefix(125)) : payload)
      }
      var pieces: [[UInt8]] = []
      var rest = bytes[...]
      while !rest.isEmpty {
        let size = Int.random(in: 1...min(40, rest.count), using: &generator)
        pieces.append(Array(rest.prefix(size)))
        rest = rest.dropFirst(size)
      }
      #expect(decode(pieces).heard == decode([bytes]).heard)
    }
  }

  @Test func `no bytes whatever do harm`() {
    var generator = SplitMix(seed: 11)
    for _ in 0..<5_000 {
      let bytes = (0..<Int.random(in: 0...64, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      let whole = decode([bytes], maximum: 1000)
      let single = decode(bytes.map { [$0] }, maximum: 1000)
      #expect(whole.heard == single.heard)
      #expect(whole.violation == single.violation)
    }
  }
}
