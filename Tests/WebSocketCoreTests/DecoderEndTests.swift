import TestSupport
import Testing

@testable import WebSocketCore

/// Hears messages, and says stop, or what it is told to say, at the given one.
private final class Stopper: FrameSink {
  private let last: Int
  private let flow: Flow
  private(set) var messages = 0
  private(set) var closes = 0

  init(last: Int, _ flow: Flow = .stop) {
    self.last = last
    self.flow = flow
  }

  func message(_ kind: MessageKind, _ payload: RawSpan) -> Flow {
    messages += 1
    return messages == last ? flow : .proceed
  }

  func ping(_ payload: RawSpan) -> Flow { .proceed }
  func pong(_ payload: RawSpan) -> Flow { .proceed }

  func close(_ code: CloseCode?, _ reason: RawSpan) -> Flow {
    closes += 1
    return .proceed
  }
}

/// - Returns: the bytes that were not looked at.
@discardableResult
private func feed(
  _ bytes: [UInt8], _ decoder: inout MessageDecoder, _ sink: Stopper
) throws(ProtocolViolation) -> [UInt8] {
  var bytes = bytes
  var span = bytes.mutableSpan
  var raw = unsafe span.mutableBytes
  let done = try decoder.decode(&raw, into: sink)
  return Array(bytes[done...])
}

struct DecoderEndTests {
  @Test func `the sink's stop ends it, in this read and the next`() throws {
    let sink = Stopper(last: 2)
    var decoder = MessageDecoder(maximumMessage: 100)
    let message = frame(0x81, [0x61])
    try feed(message + message + message, &decoder, sink)
    try feed(message, &decoder, sink)
    #expect(sink.messages == 2)
  }

  @Test(arguments: [1, 2, 3, 4])
  func `the sink's pause leaves what is behind the message as it came`(_ last: Int) throws {
    let messages = [frame(0x81, [0x61]), frame(0x82, Array(repeating: 7, count: 200))]
    let stream = (messages + messages + [frame(0x88, [])])
    let sink = Stopper(last: last, .pause)
    var decoder = MessageDecoder(maximumMessage: 300)
    let rest = try feed(Array(stream.joined()), &decoder, sink)
    #expect(sink.messages == last)
    #expect(rest == Array(stream[last...].joined()))
    #expect(try feed(rest, &decoder, sink) == [])
    #expect(sink.messages == 4)
    #expect(sink.closes == 1)
  }

  @Test func `a close frame ends it, whatever the sink says`() throws {
    let sink = Stopper(last: .max)
    var decoder = MessageDecoder(maximumMessage: 100)
    try feed(frame(0x88, []) + frame(0x81, [0x61]), &decoder, sink)
    try feed(frame(0x81, [0x61]) + frame(0x88, []), &decoder, sink)
    #expect(sink.messages == 0)
    #expect(sink.closes == 1)
  }

  @Test func `a violation ends it`() throws {
    let sink = Stopper(last: .max)
    var decoder = MessageDecoder(maximumMessage: 100)
    #expect(throws: ProtocolViolation.reservedBits) { try feed(frame(0xC1, []), &decoder, sink) }
    try feed(frame(0x81, [0x61]), &decoder, sink)
    #expect(sink.messages == 0)
  }
}

struct DecoderSplitTests {
  /// Streams of frames, some of them against the protocol, so that the end is compared as well.
  @Test func `however the bytes are cut, the same is heard and the same is wrong`() {
    var generator = SplitMix(seed: 29)
    let firsts: [UInt8] = [
      0x81, 0x81, 0x01, 0x00, 0x80, 0x82, 0x02, 0x89, 0x8A, 0x88, 0xC1, 0x83, 0x09,
    ]
    let texts = ["", "plain", "Grüße aus Köln", "κόσμε €uro 😀", String(repeating: "é", count: 80)]
    for _ in 0..<3_000 {
      var bytes: [UInt8] = []
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        let first = firsts.randomElement(using: &generator) ?? 0x81
        var payload = Array((texts.randomElement(using: &generator) ?? "").utf8)
        if Int.random(in: 0..<4, using: &generator) == 0 {
          payload = Array(payload.prefix(Int.random(in: 0...payload.count, using: &generator)))
        }
        if first == 0x88 { payload = payload.isEmpty ? [] : [0x03, 0xE8] + payload.prefix(60) }
        if first & 0x8 != 0, first != 0x88 { payload = Array(payload.prefix(125)) }
        let mask = (0..<4).map { _ in UInt8.random(in: 0...255, using: &generator) }
        bytes += frame(first, payload, mask: mask)
      }
      let whole = decode([bytes], maximum: 200)
      var pieces: [[UInt8]] = []
      var rest = bytes[...]
      while !rest.isEmpty {
        let size = Int.random(in: 1...min(24, rest.count), using: &generator)
        pieces.append(Array(rest.prefix(size)))
        rest = rest.dropFirst(size)
      }
      let cut = decode(pieces, maximum: 200)
      #expect(cut.heard == whole.heard)
      #expect(cut.violation == whole.violation)
    }
  }

  @Test func `a message that is there as a whole is held to the same rules`() {
    expect(
      frame(0x82, [1, 2, 3]) + frame(0x82, [1, 2, 3, 4]), [.binary([1, 2, 3])], .messageTooBig, maximum: 3)
    expect(frame(0x81, [0x61]) + frame(0x81, [0xC3]) + frame(0x81, []), [.text("a")], .invalidUTF8)
    expect(frame(0x82, [0xC3]) + [0x82, 0x01, 0, 0, 0, 0, 0], [.binary([0xC3])], .unmaskedFrame)
    expect(frame(0x01, [0x61]) + frame(0x81, [0x62]), [], .unfinishedMessage)
    expect(frame(0x81, []) + frame(0x82, []) + frame(0x8A, []), [.text(""), .binary([]), .pong([])])
  }

  @Test func `a payload is unmasked from any place of the mask`() {
    let payload = (0..<100).map { UInt8($0) }
    let bytes = frame(0x82, payload)
    for first in 1..<bytes.count {
      #expect(decode([Array(bytes[..<first]), Array(bytes[first...])]).heard == [.binary(payload)])
    }
  }
}
