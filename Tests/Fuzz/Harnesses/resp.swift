// The decoder of Redis's answers says the same however they are cut, and keeps its limits.
//
// Input: the limits, where to cut; then the bytes of a connection. The decoder's sources are compiled with this file.
func fuzz(_ input: [UInt8]) {
  var choices = Choices(input)
  let limits = choices.one(of: [RESPDecoder.Limits(), RESPDecoder.Limits.small])
  let seed = choices.byte()
  let bytes = choices.remainder
  let whole = Heard([bytes], limits)
  let cut = Heard(Cuts.pieces(of: bytes, seed: seed), limits)
  expect(whole == cut, "cut: \(whole) is not \(cut)")
  for value in whole.values {
    var elements = 0
    check(value, limits, depth: 0, &elements)
    expect(elements <= limits.elements, "a reply of \(elements) values")
  }
  checkCommand(bytes)
}

extension RESPDecoder.Limits {
  fileprivate static var small: Self {
    var limits = RESPDecoder.Limits()
    limits.depth = 2
    limits.elements = 8
    limits.string = 4
    limits.announcement = 16
    return limits
  }
}

/// The values of a connection, and what ended it.
private struct Heard: Equatable {
  var values: [RESPValue] = []
  var fault: RESPFault?

  init(_ pieces: [[UInt8]], _ limits: RESPDecoder.Limits) {
    var decoder = RESPDecoder(limits: limits)
    do throws(RESPFault) {
      for piece in pieces {
        decoder.append(piece)
        while let value = try decoder.next() { values.append(value) }
      }
    } catch {
      fault = error
      decoder.append(Array("+OK\r\n".utf8))
      let next = Result { () throws(RESPFault) in try decoder.next() }
      expect(next == .failure(error), "something is read behind a fault")
    }
  }
}

private func check(_ value: RESPValue, _ limits: RESPDecoder.Limits, depth: Int, _ elements: inout Int) {
  elements += 1
  switch value {
  case .bulkString(let bytes):
    expect(bytes.count <= limits.string, "a string of \(bytes.count) bytes")
  case .oversized(let length):
    expect(length > limits.string && length <= limits.announcement, "\(length) bytes are called oversized")
  case .simpleString, .error, .integer, .null: break
  case .array(let parts):
    expect(depth < limits.depth || parts.isEmpty, "nested deeper than \(limits.depth)")
    for part in parts { check(part, limits, depth: depth + 1, &elements) }
  }
}

/// Whatever a command is made of, it reads as one array of strings.
private func checkCommand(_ bytes: [UInt8]) {
  let command = RESPCommand("SET", RESPArgument(bytes), RESPArgument(bytes.count))
  var sent: [UInt8] = []
  command.append(to: &sent)
  let heard = Heard([sent], RESPDecoder.Limits())
  let expected = [Array("SET".utf8), bytes, Array(String(bytes.count).utf8)].map(RESPValue.bulkString)
  expect(heard.values == [.array(expected)] && heard.fault == nil, "a command is read as \(heard)")
}
