import TestSupport
import Testing

@testable import WebSocketCore

/// Pauses when it is told to: behind a message, or where it is asked.
private final class Pausing: FrameSink {
  let whole = Listener()
  var asked = 0
  let answer: () -> Flow

  init(_ answer: @escaping () -> Flow) {
    self.answer = answer
  }

  func message(_ kind: MessageKind, _ payload: RawSpan) -> Flow {
    _ = whole.message(kind, payload)
    return answer()
  }

  func ping(_ payload: RawSpan) -> Flow {
    _ = whole.ping(payload)
    return answer()
  }

  func pong(_ payload: RawSpan) -> Flow {
    _ = whole.pong(payload)
    return answer()
  }

  func close(_ code: CloseCode?, _ reason: RawSpan) -> Flow { whole.close(code, reason) }

  func mayGoOn() -> Bool {
    asked += 1
    return answer() == .proceed
  }
}

struct DecoderPauseTests {
  /// Gives the decoder each piece, and what it leaves of it again and again.
  private func decode(_ pieces: [[UInt8]], into sink: Pausing) throws(ProtocolViolation) -> Int {
    var decoder = MessageDecoder(maximumMessage: 1 << 20)
    var calls = 0
    for piece in pieces {
      var rest = piece
      while !rest.isEmpty {
        calls += 1
        var span = rest.mutableSpan
        var raw = unsafe span.mutableBytes
        let done = try decoder.decode(&raw, into: sink)
        #expect(done > 0, "each call has to get further")
        rest.removeFirst(done)
      }
    }
    return calls
  }

  private func anyFrames(using generator: inout SplitMix) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<Int.random(in: 1...20, using: &generator) {
      let length = Bool.random(using: &generator) ? 0...10 : 0...3000
      let payload = (0..<Int.random(in: length, using: &generator)).map { _ in
        UInt8.random(in: 0x20...0x7E, using: &generator)
      }
      switch Int.random(in: 0..<5, using: &generator) {
      case 0: bytes += frame(0x81, payload)
      case 1: bytes += frame(0x82, payload)
      case 2: bytes += frame(0x89, Array(payload.prefix(125)))
      case 3: bytes += frame(0x8A, Array(payload.prefix(125)))
      default:
        bytes += frame(0x01, payload)
        for _ in 0..<Int.random(in: 0...300, using: &generator) { bytes += frame(0x00, []) }
        bytes += frame(0x89, [1]) + frame(0x80, payload)
      }
    }
    return bytes
  }

  @Test func `however often it pauses and wherever the bytes are cut, the same is heard`() throws {
    var generator = SplitMix(seed: 5)
    for round in 0..<24 {
      let bytes = anyFrames(using: &generator)
      var pieces: [[UInt8]] = []
      var rest = bytes[...]
      while !rest.isEmpty {
        let size = Int.random(in: 1...min(9000, rest.count), using: &generator)
        pieces.append(Array(rest.prefix(size)))
        rest = rest.dropFirst(size)
      }
      let expected = WebSocketCoreTests.decode([bytes])
      #expect(expected.violation == nil)
      // Never, sometimes, and at every opportunity.
      var choices = SplitMix(seed: UInt64(round))
      let pauses = [0, 0.1, 1][round % 3]
      let sink = Pausing { Double.random(in: 0..<1, using: &choices) < pauses ? .pause : .proceed }
      let calls = try decode(pieces, into: sink)
      #expect(sink.whole.heard == expected.heard)
      if pauses == 1 { #expect(calls > pieces.count) }
    }
  }

  @Test(arguments: [(0x82, 43_690), (0x89, 43_690), (0x00, 43_689)] as [(UInt8, Int)])
  func `a read full of the smallest frames is asked about once for so many bytes`(
    _ first: UInt8, _ count: Int
  ) throws {
    var bytes = first == 0x00 ? frame(0x02, []) : []
    for _ in 0..<count { bytes += frame(first, []) }
    let sink = Pausing { .proceed }
    _ = try decode([bytes], into: sink)
    #expect(sink.asked >= bytes.count / (MessageDecoder.stride + 6) - 1)
    #expect(sink.asked <= bytes.count / MessageDecoder.stride)
  }

  @Test func `nobody is asked about what one read brings of less`() throws {
    let sink = Pausing { .proceed }
    _ = try decode([(0..<16).flatMap { _ in frame(0x81, Array(repeating: 0x61, count: 64)) }], into: sink)
    _ = try decode([frame(0x82, Array(repeating: 0, count: 1 << 19))], into: sink)
    #expect(sink.asked == 0)
  }
}
