import Bytes
import TestSupport
import Testing

@testable import WebSocketCore

private func deflater(
  _ context: ContextTakeover = .none, windowBits: Int = 15, level: Int = 6, threshold: Int = 1
) -> Deflater {
  Deflater(
    windowBits: windowBits, level: level, threshold: threshold, context: context, scratch: Scratch())
}

func inflater(_ context: ContextTakeover = .none, windowBits: Int = 15) -> Inflater {
  Inflater(windowBits: windowBits, context: context, scratch: Scratch())
}

extension Deflater {
  /// The compressed payload; nil where it has more than `limit` bytes.
  func deflated(_ text: [UInt8], atMost limit: Int = 1 << 20) -> [UInt8]? {
    var result: [UInt8]?
    let isDeflated = unsafe deflate(text.span.bytes, atMost: limit) { result = [UInt8](copying: $0) }
    return isDeflated ? result : nil
  }
}

extension Inflater {
  func inflated(_ payload: [UInt8], atMost maximum: Int = 1 << 20) throws(ProtocolViolation) -> [UInt8] {
    try unsafe inflate(payload.span.bytes, atMost: maximum) { [UInt8](copying: $0) }
  }
}

/// Text that has something to compress and something not.
func sample(_ count: Int, _ generator: inout SplitMix) -> [UInt8] {
  let words = ["group", "session", "{\"id\": ", "}, ", "message ", "é"].map { Array($0.utf8) }
  var text: [UInt8] = []
  while text.count < count {
    text += words.randomElement(using: &generator) ?? []
    if Int.random(in: 0..<4, using: &generator) == 0 {
      text.append(UInt8.random(in: 0x20...0x7E, using: &generator))
    }
  }
  return Array(text.prefix(count))
}

struct DeflaterTests {
  // MARK: Section 7.2.3

  @Test func `the examples of the RFC come out byte for byte`() {
    let hello = Array("Hello".utf8)
    #expect(deflater().deflated(hello) == [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00])
    // 7.2.3.2: with the window kept, the second one refers to the first.
    let keeping = deflater(.kept)
    #expect(keeping.deflated(hello) == [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00])
    #expect(keeping.deflated(hello) == [0xF2, 0x00, 0x11, 0x00, 0x00])
    let forgetting = deflater()
    #expect(forgetting.deflated(hello) == forgetting.deflated(hello))
  }

  @Test func `what does not get smaller is sent as it is`() {
    #expect(deflater().deflated([]) == nil)
    let hello = Array("Hello".utf8)
    #expect(deflater().deflated(hello, atMost: 6) == nil)
    #expect(deflater().deflated(hello, atMost: 7)?.count == 7)
    let isSmaller = unsafe deflater().deflate(hello.span.bytes) { _ in Issue.record("7 bytes for 5") }
    #expect(!isSmaller)
  }

  @Test func `what is shorter than the threshold is not tried`() {
    var text = [UInt8](repeating: 0x61, count: 99)
    let deflater = deflater(threshold: 100)
    var isDeflated = unsafe deflater.deflate(text.span.bytes) { _ in Issue.record("too short") }
    #expect(!isDeflated)
    #expect(deflater.messages == 0)
    text.append(0x61)
    var length = 0
    isDeflated = unsafe deflater.deflate(text.span.bytes) { length = $0.byteCount }
    #expect(isDeflated)
    #expect((1..<100).contains(length))
    #expect(deflater.messages == 1)
  }

  /// The receiver never sees it, so what comes after must not refer to it.
  @Test func `a message that was given up is forgotten`() throws {
    var generator = SplitMix(seed: 41)
    let deflater = deflater(.kept)
    let inflater = inflater(.kept)
    let noise = (0..<200).map { _ in UInt8.random(in: 0...255, using: &generator) }
    let text = sample(500, &generator)
    let first = try #require(deflater.deflated(text))
    #expect(try inflater.inflated(first) == text)
    #expect(deflater.deflated(noise, atMost: noise.count - 1) == nil)
    let second = try #require(deflater.deflated(noise + text))
    #expect(try inflater.inflated(second) == noise + text)
  }

  @Test(arguments: [9, 12, 15], [1, 6, 9])
  func `every window and level comes back`(_ bits: Int, _ level: Int) throws {
    var generator = SplitMix(seed: UInt64(bits * 16 + level))
    for context in [ContextTakeover.none, .kept] {
      let deflater = deflater(context, windowBits: bits, level: level)
      let inflater = inflater(context, windowBits: bits)
      for size in [1, 2, 100, 5_000, 70_000, 300_000, 3] {
        let text = sample(size, &generator)
        let payload = try #require(deflater.deflated(text, atMost: size + 100))
        #expect(try inflater.inflated(payload) == text)
      }
    }
  }
}

struct InflaterTests {
  // MARK: Section 7.2.3, every example

  @Test(
    arguments: [
      // 7.2.3.1
      ([0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], "Hello"),
      // 7.2.3.3: a block without compression.
      ([0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00], "Hello"),
      // 7.2.3.4: a block that says that it is the last.
      ([0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00], "Hello"),
      // 7.2.3.5: two blocks.
      ([0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00], "Hello"),
      // 7.2.3.6: nothing.
      ([0x00], ""),
      // Final blocks before others, and at the very end.
      ([0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], "Hello"),
      ([0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], "HelloHello"),
      ([0x01], ""),
    ] as [([UInt8], String)])
  func `the examples of the RFC are unpacked`(_ payload: [UInt8], _ text: String) throws {
    #expect(String(decoding: try inflater().inflated(payload), as: UTF8.self) == text)
    #expect(String(decoding: try inflater(.kept).inflated(payload), as: UTF8.self) == text)
  }

  @Test func `a kept window is there for the next message, behind a final block too`() throws {
    let hello: [UInt8] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]
    let final: [UInt8] = [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00]
    let again: [UInt8] = [0xF2, 0x00, 0x11, 0x00, 0x00]
    for first in [hello, final] {
      let keeping = inflater(.kept)
      #expect(try keeping.inflated(first) == Array("Hello".utf8))
      #expect(try keeping.inflated(again) == Array("Hello".utf8))
      let forgetting = inflater()
      #expect(try forgetting.inflated(first) == Array("Hello".utf8))
      #expect(throws: ProtocolViolation.badCompression) { try forgetting.inflated(again) }
      // And it goes on behind the fault.
      #expect(try forgetting.inflated(first) == Array("Hello".utf8))
    }
  }

  @Test(
    arguments: [
      // A kind of block that does not exist; a reference to before the beginning; lengths that do not agree.
      [0xFF], [0x02, 0x00, 0x11, 0x00, 0x00], [0x00, 0x05, 0x00, 0xFA, 0xFE, 0x48],
      // The end is missing: all of it, in a header, in a block, in one without compression, where what is added would be its contents.
      [], [0x00, 0x05, 0x00], [0xF2, 0x48, 0xCD], [0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48],
      [0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F],
      // Something behind the end.
      [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x07],
    ] as [[UInt8]])
  func `what is no DEFLATE is refused`(_ payload: [UInt8]) {
    #expect(throws: ProtocolViolation.badCompression) { try inflater().inflated(payload) }
    #expect(ProtocolViolation.badCompression.closeCode == .invalidData)
  }

  @Test func `no more than the limit is unpacked`() throws {
    let zeros = [UInt8](repeating: 0, count: 1 << 22)
    let bomb = try #require(deflater().deflated(zeros))
    #expect(bomb.count < 5_000)
    for maximum in [0, 1, 1_000, 16_383, 16_384, 16_385, 100_000, zeros.count - 1] {
      #expect(throws: ProtocolViolation.messageTooBig) { try inflater().inflated(bomb, atMost: maximum) }
    }
    #expect(try inflater().inflated(bomb, atMost: zeros.count) == zeros)
  }

  @Test(arguments: [0, 1, 5, 16_383, 16_384, 16_385, 40_000])
  func `a message of exactly the limit passes, and one more byte does not`(_ size: Int) throws {
    var generator = SplitMix(seed: UInt64(size))
    let text = sample(size, &generator)
    let payload = size == 0 ? [0x00] : try #require(deflater().deflated(text))
    #expect(try inflater().inflated(payload, atMost: size) == text)
    guard size > 0 else { return }
    #expect(throws: ProtocolViolation.messageTooBig) { try inflater().inflated(payload, atMost: size - 1) }
  }

  /// What one session sent must not be there for another one, not even while it is handled.
  @Test func `a message may be unpacked while another one is handled`() throws {
    let shared = inflater()
    let hello: [UInt8] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]
    var inner: [UInt8] = []
    let outer = try unsafe shared.inflate(hello.span.bytes, atMost: 100) {
      (outer) throws(ProtocolViolation) in
      #expect(throws: ProtocolViolation.badCompression) {
        try shared.inflated([0xF2, 0x00, 0x11, 0x00, 0x00])
      }
      inner = try shared.inflated([0x00, 0x02, 0x00, 0xFD, 0xFF, 0x61, 0x62, 0x00])
      return [UInt8](copying: outer)
    }
    #expect(outer == Array("Hello".utf8))
    #expect(inner == Array("ab".utf8))
  }

  @Test func `no bytes whatever do harm`() throws {
    var generator = SplitMix(seed: 77)
    let shared = inflater()
    for round in 0..<5_000 {
      var payload = (0..<Int.random(in: 0...64, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      if round % 2 == 0 {
        // Something real with a few bits turned.
        payload = deflater().deflated(sample(200, &generator)) ?? []
        payload[Int.random(in: 0..<payload.count, using: &generator)] ^=
          1 << Int.random(in: 0...7, using: &generator)
      }
      for inflater in [shared, inflater(.kept)] {
        do throws(ProtocolViolation) {
          #expect(try inflater.inflated(payload, atMost: 1_000).count <= 1_000)
        } catch {
          #expect(error == .badCompression || error == .messageTooBig)
        }
      }
    }
    #expect(try shared.inflated([0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]) == Array("Hello".utf8))
  }
}
