import TestSupport
import Testing

@testable import WebSocketCore

private let hello: [UInt8] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]
private let again: [UInt8] = [0xF2, 0x00, 0x11, 0x00, 0x00]

/// The same bytes at once and one by one, from a client with which compression was negotiated.
private func expectCompressed(
  _ bytes: [UInt8], _ heard: [Heard], _ violation: ProtocolViolation? = nil, maximum: Int = 1 << 20,
  context: ContextTakeover = .none, sourceLocation: SourceLocation = #_sourceLocation
) {
  for pieces in [[bytes], bytes.map { [$0] }] {
    let got = decode(pieces, maximum: maximum, inflater: inflater(context))
    #expect(got.heard == heard, sourceLocation: sourceLocation)
    #expect(got.violation == violation, sourceLocation: sourceLocation)
  }
}

private func deflated(_ text: [UInt8], level: Int = 6) -> [UInt8] {
  let deflater = Deflater(windowBits: 15, level: level, threshold: 1, context: .none, scratch: Scratch())
  return deflater.deflated(text, atMost: text.count + 1_000) ?? []
}

struct CompressedMessageTests {
  // MARK: RFC 7692 section 6

  @Test func `a compressed message is unpacked, whole and in fragments`() {
    expectCompressed(frame(0xC1, hello), [.text("Hello")])
    expectCompressed(frame(0xC2, hello), [.binary(Array("Hello".utf8))])
    // Section 7.2.3.1: the bit stands at the first fragment only.
    expectCompressed(frame(0x41, Array(hello[..<3])) + frame(0x80, Array(hello[3...])), [.text("Hello")])
    expectCompressed(
      frame(0x41, []) + frame(0x00, Array(hello[..<5])) + frame(0x89, [7]) + frame(0x00, Array(hello[5...]))
        + frame(0x80, []), [.ping([7]), .text("Hello")])
  }

  @Test func `compressed and plain messages follow each other`() {
    expectCompressed(
      frame(0x81, [0x61]) + frame(0xC1, hello) + frame(0x82, [1]) + frame(0xC1, [0x00]) + frame(0x01, [0x62])
        + frame(0x80, [0x63]) + frame(0x41, hello) + frame(0x80, []) + frame(0x01, [0x64])
        + frame(0x80, [0x65]),
      [.text("a"), .text("Hello"), .binary([1]), .text(""), .text("bc"), .text("Hello"), .text("de")])
  }

  @Test func `with context take-over a message refers to the one before`() {
    expectCompressed(
      frame(0xC1, hello) + frame(0x81, [0x61]) + frame(0xC1, again),
      [.text("Hello"), .text("a"), .text("Hello")], context: .kept)
    expectCompressed(frame(0xC1, hello) + frame(0xC1, again), [.text("Hello")], .badCompression)
  }

  @Test(arguments: [0xC9, 0xCA, 0xC8, 0xC0, 0x40, 0xE1, 0xD1, 0xF1, 0xA1, 0x91] as [UInt8])
  func `the bit at any other frame, and the other bits, are refused`(_ first: UInt8) {
    expectCompressed(frame(first, []), [], .reservedBits)
    expectCompressed(frame(0x41, hello) + frame(first, []), [], .reservedBits)
    expectCompressed(frame(0x01, [0x61]) + frame(first, []), [], .reservedBits)
  }

  @Test func `without negotiation the bit is refused`() {
    for first in [0xC1, 0xC2, 0x41] as [UInt8] {
      #expect(decode([frame(first, hello)]).violation == .reservedBits)
    }
  }

  // MARK: Sections 7.2.2 and 8

  @Test func `text is checked when it is unpacked`() {
    expectCompressed(frame(0xC1, deflated([0xC3, 0xA9])), [.text("é")])
    expectCompressed(frame(0xC1, deflated([0x61, 0xC3])), [], .invalidUTF8)
    expectCompressed(frame(0xC2, deflated([0x61, 0xC3])), [.binary([0x61, 0xC3])])
    expectCompressed(frame(0xC1, deflated([0xC3])) + frame(0x81, [0xA9]), [], .invalidUTF8)
  }

  @Test func `data that cannot be unpacked is refused with 1007`() {
    expectCompressed(
      frame(0x81, [0x61]) + frame(0xC1, [0xFF]) + frame(0x81, []), [.text("a")], .badCompression)
    expectCompressed(frame(0x42, Array(hello[..<3])) + frame(0x80, []), [], .badCompression)
  }

  @Test func `a message is held to its limit by what comes out of it`() {
    let bomb = deflated([UInt8](repeating: 0x61, count: 100_000))
    #expect(bomb.count < 200)
    expectCompressed(frame(0xC1, bomb), [], .messageTooBig, maximum: 99_999)
    expectCompressed(frame(0xC1, bomb), [.text(String(repeating: "a", count: 100_000))], maximum: 100_000)
    // What does not get smaller by it gets longer, and is still allowed.
    var generator = SplitMix(seed: 9)
    let noise = (0..<1_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
    let payload = deflated(noise)
    #expect(payload.count > 1_000)
    expectCompressed(frame(0xC2, payload), [.binary(noise)], maximum: 1_000)
  }

  @Test func `what cannot be within the limit is refused before it comes`() {
    let announced: [UInt8] = [0xC2, 0xFF, 0, 0, 0, 0, 0x06, 0x40, 0, 0, 0, 0, 0, 0]
    #expect(decode([announced], inflater: inflater()).violation == .messageTooBig)
    let fragments = Array(repeating: frame(0x00, [UInt8](repeating: 0, count: 100)), count: 20).flatMap(
      \.self)
    expectCompressed(frame(0x42, []) + fragments, [], .messageTooBig, maximum: 1_000)
  }

  // MARK: Any cuts, any bytes

  @Test func `however the bytes are cut, the same is heard and the same is wrong`() {
    var generator = SplitMix(seed: 31)
    let firsts: [UInt8] = [0xC1, 0xC1, 0xC2, 0x41, 0x42, 0x00, 0x80, 0x81, 0x01, 0x89, 0x88, 0xC0]
    for _ in 0..<2_000 {
      var bytes: [UInt8] = []
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        let first = firsts.randomElement(using: &generator) ?? 0xC1
        var payload = sample(Int.random(in: 0...300, using: &generator), &generator)
        if first & 0x40 != 0 { payload = deflated(payload) }
        if Int.random(in: 0..<6, using: &generator) == 0, !payload.isEmpty {
          payload[Int.random(in: 0..<payload.count, using: &generator)] ^= 0x10
        }
        if first & 0x8 != 0 { payload = first == 0x88 ? [] : Array(payload.prefix(125)) }
        bytes += frame(
          first, payload, mask: (0..<4).map { _ in UInt8.random(in: 0...255, using: &generator) })
      }
      for context in [ContextTakeover.none, .kept] {
        let whole = decode([bytes], maximum: 280, inflater: inflater(context))
        var pieces: [[UInt8]] = []
        var rest = bytes[...]
        while !rest.isEmpty {
          let size = Int.random(in: 1...min(60, rest.count), using: &generator)
          pieces.append(Array(rest.prefix(size)))
          rest = rest.dropFirst(size)
        }
        let cut = decode(pieces, maximum: 280, inflater: inflater(context))
        #expect(cut.heard == whole.heard)
        #expect(cut.violation == whole.violation)
      }
    }
  }

  @Test func `sessions that keep nothing share one inflater, whatever the cuts`() throws {
    let shared = inflater()
    let listeners = [Listener(), Listener()]
    var decoders = listeners.map { _ in MessageDecoder(maximumMessage: 1_000, inflater: shared) }
    var generator = SplitMix(seed: 13)
    let texts = (0..<40).map { _ in sample(Int.random(in: 1...400, using: &generator), &generator) }
    var streams = [0, 1].map { first in
      stride(from: first, to: texts.count, by: 2).flatMap { frame(0xC2, deflated(texts[$0])) }[...]
    }
    while streams.contains(where: { !$0.isEmpty }) {
      let index = Int.random(in: 0...1, using: &generator)
      var piece = Array(streams[index].prefix(Int.random(in: 1...50, using: &generator)))
      streams[index] = streams[index].dropFirst(piece.count)
      var span = piece.mutableSpan
      var raw = unsafe span.mutableBytes
      try decoders[index].decode(&raw, into: listeners[index])
    }
    for (index, listener) in listeners.enumerated() {
      #expect(listener.heard == stride(from: index, to: texts.count, by: 2).map { .binary(texts[$0]) })
    }
  }

  @Test func `no bytes whatever do harm`() {
    var generator = SplitMix(seed: 17)
    for _ in 0..<3_000 {
      var bytes = (0..<Int.random(in: 0...64, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      if bytes.count > 2 { (bytes[0], bytes[1]) = (0xC1, 0x80 | bytes[1] & 0x3F) }
      let whole = decode([bytes], maximum: 1000, inflater: inflater())
      let single = decode(bytes.map { [$0] }, maximum: 1000, inflater: inflater())
      #expect(whole.heard == single.heard)
      #expect(whole.violation == single.violation)
    }
  }
}

struct FramesMadeHereTests {
  @Test(arguments: [0, 1, 125, 126, 65_535, 65_536])
  func `a frame of ours is found again`(_ length: Int) throws {
    let header = FrameHeader(opcode: .binary, payloadLength: length)
    var bytes: [UInt8] = [0xAA]
    for index in 0..<header.count {
      bytes.append(UInt8(truncatingIfNeeded: header.bytes >> UInt128(8 * index)))
    }
    let start = bytes.count
    bytes += [UInt8](repeating: 7, count: length)
    let found = unsafe ServerFrame(bytes.span.bytes, at: 1)
    let behind = unsafe ServerFrame(bytes.span.bytes, at: bytes.count)
    #expect(found?.opcode == .binary)
    #expect(found?.payload == start..<start + length)
    #expect(behind == nil)
    bytes.removeLast()
    let cut = unsafe ServerFrame(bytes.span.bytes, at: 1)
    #expect(cut == nil)
  }

  @Test func `the bit of compression stands in the header`() {
    #expect(FrameHeader(opcode: .text, payloadLength: 7, isCompressed: true).bytes & 0xFF == 0xC1)
    #expect(FrameHeader(opcode: .text, payloadLength: 7).bytes & 0xFF == 0x81)
  }
}
