import Bytes

@testable import WebSocketCore

// Records are read from any bytes without more than what the bytes have, and what is read reads the same once it is written. A decoder
// goes on from any state that is read. To a time and to a count can be added.
//
// Input: the length of the record in a byte, the record, and bytes for the decoder that goes on from it.
func fuzz(_ input: [UInt8]) {
  var choices = Choices(input)
  let length = Int(choices.byte())
  let bytes = choices.remainder
  walk(bytes[...], depth: 8)
  let record = bytes.prefix(length)
  guard let state = try? RecordReader.read(record, as: DecoderState.self) else { return }
  let again = try? RecordReader.read(written(state)[...], as: DecoderState.self)
  expect(again == state, "what is written reads as something else")
  resume(state, Array(bytes.dropFirst(length)))
}

private func written(_ value: some Recorded) -> [UInt8] {
  var writer = RecordWriter()
  value.write(to: &writer)
  return writer.bytes
}

/// Every field, and what is inside of it.
private func walk(_ bytes: ArraySlice<UInt8>, depth: Int) {
  guard depth > 0 else { return }
  var reader = RecordReader(bytes)
  var sum = 0
  while let field = try? reader.next() {
    _ = try? field.text()
    _ = try? field.integer(as: Int.self)
    if let count = try? field.count() { expect(count + count >= 0, "a count has no room for more") }
    if let time = try? field.time() { look(at: time) }
    guard let slice = try? field.slice() else { continue }
    sum += slice.count
    walk(slice, depth: depth - 1)
  }
  expect(sum <= bytes.count, "fields have more bytes than their record")
}

/// Waits from then on for as long as any duration is.
private func look(at time: UInt64) {
  let hundredYears: UInt64 = 3_155_760_000_000_000_000
  for pingedAt in [nil, time] {
    var keepAlive = KeepAlive(interval: hundredYears, timeout: hundredYears, startedAt: 0)
    keepAlive.times = (time, pingedAt)
    expect(keepAlive.check(at: time) == .nothing, "a wait is over before its time")
  }
}

private func resume(_ state: DecoderState, _ bytes: [UInt8]) {
  var decoder = MessageDecoder(maximumMessage: 1000)
  decoder.resume(state)
  var bytes = bytes
  var span = bytes.mutableSpan
  var raw = unsafe span.mutableBytes
  _ = try? decoder.decode(&raw, into: Nothing())
}

private final class Nothing: FrameSink {
  func message(_ kind: MessageKind, _ payload: RawSpan) -> Flow { .proceed }
  func ping(_ payload: RawSpan) -> Flow { .proceed }
  func pong(_ payload: RawSpan) -> Flow { .proceed }
  func close(_ code: CloseCode?, _ reason: RawSpan) -> Flow { .stop }
  func mayGoOn() -> Bool { true }
}
