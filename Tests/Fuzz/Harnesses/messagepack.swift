import JSON

// What is read, written and read again is the same event, and neither a part of it nor more than it is one.
//
// Input: a message as it comes from Redis. The sources of the reader and the writer are compiled with this file.
func fuzz(_ input: [UInt8]) {
  var choices = Choices(input)
  checkNumber(&choices)
  guard let event = read(input) else { return }
  let bytes = written(event)
  guard let again = read(bytes) else { fatalError("\(event) is written as what cannot be read") }
  expect(written(again) == bytes, "\(event) was written, and read as \(again)")
  for end in Set([0, 1, bytes.count / 2, bytes.count - 1]) where end < bytes.count {
    expect(read(Array(bytes[..<end])) == nil, "\(end) of \(bytes.count) bytes are an event")
  }
  expect(read(bytes + [0xC0]) == nil, "an event with something behind it is one")
  expect(read(Array(input.dropLast())) == nil, "an event without its last byte is one")
  for entry in event { check(entry.value) }
}

private typealias Entry = (key: String, value: MessagePackReader.Value)

private func read(_ bytes: [UInt8]) -> [Entry]? {
  var reader = MessagePackReader(bytes)
  return try? reader.readEvent()
}

private func written(_ event: [Entry]) -> [UInt8] {
  var writer = MessagePackWriter()
  writer.write(length: event.count, of: .map)
  for (key, value) in event {
    writer.write(text: key.utf8)
    switch value {
    case .json(let value): writer.write(value)
    case .binary(let bytes): writer.write(binary: bytes)
    }
  }
  return writer.bytes
}

/// What is read can be said in JSON, and is the same there.
private func check(_ value: MessagePackReader.Value) {
  guard case .json(let value) = value else { return }
  let text = value.bytes
  let again = unsafe try? JSON.parse(text.span.bytes, depth: 64)
  expect(again == value, "\(value) is \(again.map { "\($0)" } ?? "nothing") in JSON")
}

/// The lengths that numbers are written in meet at powers of two.
private func checkNumber(_ choices: inout Choices) {
  let power = Int64(1) << Int64(choices.byte() % 63)
  let number = (choices.byte() < 128 ? power : -power) + Int64(choices.byte() % 4) - 2
  let bytes = written([("n", .json(.integer(number)))])
  guard case .json(.integer(number))? = read(bytes)?.first?.value else {
    fatalError("\(number) is written as \(bytes)")
  }
}
