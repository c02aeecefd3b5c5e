import Bytes

@testable import WebSocketCore

// The frame decoder says the same however its input is cut and however often its sink pauses, and what it hands on is within
// the bounds of RFC 6455.
//
// Input: who sends, the largest message, the compression, where to cut; then the bytes of a connection.
func fuzz(_ input: [UInt8]) {
  var choices = Choices(input)
  let origin = choices.one(of: [FrameOrigin.client, .server])
  let maximum = choices.one(of: [1000, 0, 4, 125, 126, 70_000])
  let compression = choices.one(of: [nil, ContextTakeover.none, .kept])
  let seed = choices.byte()
  let bytes = choices.remainder
  func decoder() -> MessageDecoder {
    MessageDecoder(
      maximumMessage: maximum, from: origin,
      inflater: compression.map { Inflater(windowBits: 15, context: $0, scratch: Scratch()) })
  }

  let whole = Heard(maximum)
  whole.hear(decoder(), [bytes])
  let cut = Heard(maximum)
  cut.hear(decoder(), Cuts.pieces(of: bytes, seed: seed))
  expect(whole == cut, "cut: \(whole) is not \(cut)")
  let paused = Heard(maximum, pauses: true)
  paused.hear(decoder(), [bytes])
  expect(whole == paused, "paused: \(whole) is not \(paused)")
  let pausedAndCut = Heard(maximum, pauses: true)
  pausedAndCut.hear(decoder(), Cuts.pieces(of: bytes, seed: seed &+ 1))
  expect(whole == pausedAndCut, "paused and cut: \(whole) is not \(pausedAndCut)")

  let limit = Int(seed) % 4
  let stopped = Heard(maximum, stopsAfter: limit)
  stopped.hear(decoder(), [bytes])
  let hasStopped = whole.events.count > limit
  expect(
    stopped.events == Array(whole.events.prefix(limit + 1)), "stopped: \(stopped) is no start of \(whole)")
  expect(hasStopped || stopped.violation == whole.violation, "stopped: \(stopped) is not \(whole)")
}

/// What a sink was told, checked as it comes.
private final class Heard: FrameSink, Equatable, CustomStringConvertible {
  enum Event: Equatable {
    case message(MessageKind, [UInt8])
    case ping([UInt8])
    case pong([UInt8])
    case close(CloseCode?, [UInt8])
  }

  private let maximum: Int
  private let pauses: Bool
  private let stopsAfter: Int
  private(set) var events: [Event] = []
  private(set) var violation: ProtocolViolation?

  init(_ maximum: Int, pauses: Bool = false, stopsAfter: Int = .max) {
    self.maximum = maximum
    self.pauses = pauses
    self.stopsAfter = stopsAfter
  }

  static func == (one: Heard, other: Heard) -> Bool {
    one.events == other.events && one.violation == other.violation
  }

  var description: String { "\(events), \(violation.map { "\($0)" } ?? "no violation")" }

  func hear(_ decoder: MessageDecoder, _ pieces: [[UInt8]]) {
    var decoder = decoder
    for piece in pieces {
      guard hear(&decoder, piece) else { break }
    }
    guard violation != nil else { return }
    let count = events.count
    let isDone = hear(&decoder, [0x81, 0x80, 0, 0, 0, 0])
    expect(isDone && events.count == count, "something was read behind a violation")
  }

  /// - Returns: false where the piece broke the protocol.
  private func hear(_ decoder: inout MessageDecoder, _ piece: [UInt8]) -> Bool {
    var rest = piece
    while true {
      let before = rest
      let count = events.count
      var done = 0
      do throws(ProtocolViolation) {
        var span = rest.mutableSpan
        var bytes = unsafe span.mutableBytes
        done = try decoder.decode(&bytes, into: self)
      } catch {
        violation = error
        return false
      }
      expect((0...before.count).contains(done), "\(done) of \(before.count) bytes are done")
      expect(rest[done...] == before[done...], "the rest is not as it came")
      if done == before.count { return true }
      expect(events.count > count, "a pause without an event")
      rest = Array(rest[done...])
    }
  }

  private func take(_ event: Event) -> Flow {
    events.append(event)
    if events.count > stopsAfter { return .stop }
    return pauses ? .pause : .proceed
  }

  func message(_ kind: MessageKind, _ payload: RawSpan) -> Flow {
    let bytes = Array(copying: payload)
    expect(bytes.count <= maximum, "a message of \(bytes.count) bytes, with a maximum of \(maximum)")
    expect(kind == .binary || Self.isText(bytes), "a text message that is not UTF-8")
    return take(.message(kind, bytes))
  }

  func ping(_ payload: RawSpan) -> Flow {
    expect(payload.byteCount <= 125, "a ping of \(payload.byteCount) bytes")
    return take(.ping(Array(copying: payload)))
  }

  func pong(_ payload: RawSpan) -> Flow {
    expect(payload.byteCount <= 125, "a pong of \(payload.byteCount) bytes")
    return take(.pong(Array(copying: payload)))
  }

  func close(_ code: CloseCode?, _ reason: RawSpan) -> Flow {
    let bytes = Array(copying: reason)
    expect(bytes.count <= 123 && Self.isText(bytes), "a close reason that is too long, or not UTF-8")
    expect(code?.isValidOnWire ?? bytes.isEmpty, "a close code that may not be sent, or a reason without one")
    return take(.close(code, bytes))
  }

  /// The standard library's opinion, not that of the validator that is under test.
  private static func isText(_ bytes: [UInt8]) -> Bool { String(validating: bytes, as: UTF8.self) != nil }
}
