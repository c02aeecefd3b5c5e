import Bytes

@testable import WebSocketCore

// The inflater keeps its bound, says the same for every bound that suffices, can be used again after a faulty message where no
// context is kept, and undoes what the deflater does.
//
// Input: the window, the context, the bound; then messages, each behind its length in two bytes.
func fuzz(_ input: [UInt8]) {
  var choices = Choices(input)
  let windowBits = choices.one(of: [15, 8, 9, 12])
  let context = choices.one(of: [ContextTakeover.none, .kept])
  let maximum = choices.one(of: [1000, 0, 1, 16_384, 16_385, 100_000])
  let messages = messages(in: choices.remainder)
  unpack(messages, windowBits, context, maximum)
  packAndUnpack(messages, max(9, windowBits), context)
}

/// Far more than the inputs of a run can unpack to, and little enough for it to be done often.
private let plenty = 1 << 20

private func messages(in bytes: [UInt8]) -> [[UInt8]] {
  var messages: [[UInt8]] = []
  var rest = bytes[...]
  while let low = rest.popFirst(), messages.count < 8 {
    let length = Int(low) | Int(rest.popFirst() ?? 0) << 8
    messages.append(Array(rest.prefix(length)))
    rest = rest.dropFirst(length)
  }
  return messages
}

private func unpack(_ messages: [[UInt8]], _ windowBits: Int, _ context: ContextTakeover, _ maximum: Int) {
  let bounded = Inflater(windowBits: windowBits, context: context, scratch: Scratch())
  let generous = Inflater(windowBits: windowBits, context: context, scratch: Scratch())
  for message in messages {
    let small = unpacked(message, by: bounded, atMost: maximum)
    let large = unpacked(message, by: generous, atMost: plenty)
    switch (small, large) {
    case (.success(let bytes), _):
      expect(bytes.count <= maximum, "\(bytes.count) bytes were unpacked, with a maximum of \(maximum)")
      expect(small == large, "a larger bound gives another message")
    case (.failure(.messageTooBig), .success(let bytes)):
      expect(bytes.count > maximum, "\(bytes.count) bytes are called more than \(maximum)")
    case (.failure(.messageTooBig), .failure): break
    case (.failure, _): expect(small == large, "\(small) becomes \(large) by a larger bound")
    }
    // A kept context ends with its connection; one that is not kept is shared by the sessions of a reactor.
    guard case .success = small, case .success = large else {
      if context == .none { checkUse(of: bounded, windowBits) }
      return
    }
  }
}

private func unpacked(
  _ message: [UInt8], by inflater: Inflater, atMost maximum: Int
) -> Result<[UInt8], ProtocolViolation> {
  do throws(ProtocolViolation) {
    return .success(
      try unsafe inflater.inflate(message.span.bytes, atMost: maximum) { Array(copying: $0) })
  } catch {
    return .failure(error)
  }
}

/// Another session's message is unpacked as if nothing had been.
private func checkUse(of inflater: Inflater, _ windowBits: Int) {
  // "Hello", as in RFC 7692 section 7.2.3.1.
  let hello: [UInt8] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]
  let text = unpacked(hello, by: inflater, atMost: 5)
  expect(text == .success(Array("Hello".utf8)), "after a faulty message \"Hello\" is \(text)")
}

private func packAndUnpack(_ messages: [[UInt8]], _ windowBits: Int, _ context: ContextTakeover) {
  let deflater = Deflater(
    windowBits: windowBits, level: 6, threshold: 0, context: context, scratch: Scratch())
  let inflater = Inflater(windowBits: windowBits, context: context, scratch: Scratch())
  for message in messages where !message.isEmpty {
    var packed: [UInt8] = []
    let longest = Inflater.longestPayload(ofMessage: message.count)
    let fits = unsafe deflater.deflate(message.span.bytes, atMost: longest) { packed = Array(copying: $0) }
    expect(fits, "\(message.count) bytes pack to more than \(longest)")
    let result = unpacked(Array(packed), by: inflater, atMost: message.count)
    expect(result == .success(message), "\(message) came back as \(result)")
  }
}
