import Bytes
import TestSupport
import Testing

@testable import WebSocketCore

struct DecoderStateTests {
  /// A session of all kinds of frames, fragments and characters.
  private static let bytes: [UInt8] =
    frame(0x81, Array("grüße 🙂".utf8)) + frame(0x01, Array("Zo".utf8) + [0xC3])
    + frame(0x89, Array("ping".utf8))
    + frame(0x80, [0xAB] + Array("!".utf8)) + frame(0x82, Array(repeating: 7, count: 200))
    + frame(0x02, [1]) + frame(0x00, [2]) + frame(0x8A, []) + frame(0x80, [3])
    + frame(0x82, Array(repeating: 8, count: 70_000)) + frame(0x88, [0x03, 0xE8, 0x62])

  /// The same decoder's state, as it arrives in another process.
  private func handed(_ state: DecoderState) throws -> DecoderState {
    var writer = RecordWriter()
    state.write(to: &writer)
    let read = try RecordReader.read(writer.bytes[...], as: DecoderState.self)
    #expect(read == state)
    return read
  }

  private func decode(_ bytes: [UInt8], with decoder: inout MessageDecoder, into listener: Listener) throws {
    var bytes = bytes
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try decoder.decode(&raw, into: listener)
  }

  @Test func `a decoder goes on in another process wherever the bytes are cut`() throws {
    let whole = Listener()
    var one = MessageDecoder(maximumMessage: 1 << 20)
    try decode(Self.bytes, with: &one, into: whole)
    let inside = Self.bytes.count - 70_100
    for cut in Array(0..<inside) + [inside + 40_000, Self.bytes.count - 9, Self.bytes.count - 4] {
      let listener = Listener()
      var first = MessageDecoder(maximumMessage: 1 << 20)
      try decode(Array(Self.bytes[..<cut]), with: &first, into: listener)
      var second = MessageDecoder(maximumMessage: 1 << 20)
      if let state = first.state { second.resume(try handed(state)) }
      try decode(Array(Self.bytes[cut...]), with: &second, into: listener)
      #expect(listener.heard == whole.heard, "cut at \(cut)")
    }
  }

  @Test func `between two messages there is nothing to hand over`() throws {
    var decoder = MessageDecoder(maximumMessage: 100)
    #expect(decoder.state == nil)
    try decode(frame(0x81, [0x61]), with: &decoder, into: Listener())
    #expect(decoder.state == nil)
  }

  @Test func `an ended decoder stays ended`() throws {
    var decoder = MessageDecoder(maximumMessage: 100)
    try decode(frame(0x88, []), with: &decoder, into: Listener())
    var next = MessageDecoder(maximumMessage: 100)
    next.resume(try handed(try #require(decoder.state)))
    let listener = Listener()
    try decode(frame(0x81, [0x61]), with: &next, into: listener)
    #expect(listener.heard.isEmpty)
  }

  @Test func `an inflater goes on with what the sender refers to`() throws {
    let deflater = Deflater(windowBits: 15, level: 6, threshold: 1, context: .kept, scratch: Scratch())
    let text = Array(repeating: "the same words again and again, ", count: 40).joined().utf8
    let first = Inflater(windowBits: 15, context: .kept, scratch: Scratch())
    let one = try #require(deflater.deflated(Array(text), atMost: 4000))
    let two = try #require(deflater.deflated(Array(text), atMost: 4000))
    #expect(two.count < one.count)
    try first.inflate(one.rawBytes, atMost: 10_000) { #expect([UInt8](copying: $0) == Array(text)) }
    let second = Inflater(windowBits: 15, context: .kept, scratch: Scratch())
    second.resume(behind: first.lastBytes)
    // Once more, before anything is unpacked.
    let third = Inflater(windowBits: 15, context: .kept, scratch: Scratch())
    third.resume(behind: second.lastBytes)
    try third.inflate(two.rawBytes, atMost: 10_000) { #expect([UInt8](copying: $0) == Array(text)) }
  }

  @Test func `whatever a record says, a decoder goes on or refuses`() throws {
    var random = SplitMix(seed: 4)
    var decoder = MessageDecoder(maximumMessage: 1 << 20)
    try decode(frame(0x01, [0x61]) + [0x89, 0x84, 1, 2, 3, 4, 5], with: &decoder, into: Listener())
    var writer = RecordWriter()
    try #require(decoder.state).write(to: &writer)
    for _ in 0..<20_000 {
      var bytes = writer.bytes
      for _ in 0..<3 {
        bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      guard let state = try? RecordReader.read(bytes[...], as: DecoderState.self) else { continue }
      var next = MessageDecoder(maximumMessage: 1000)
      next.resume(state)
      try? decode(frame(0x81, [0x61]), with: &next, into: Listener())
    }
  }
}
