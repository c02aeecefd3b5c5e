@testable import JSON

// What is read, written and read again is the same value, and what only checks a text takes exactly what is read.
//
// Input: a JSON text.
func fuzz(_ input: [UInt8]) {
  let value = parsed(input)
  if let value {
    expect(String(validating: input, as: UTF8.self) != nil, "a text that is not UTF-8 is read as \(value)")
    let written = value.bytes
    guard let again = parsed(written) else { fatalError("\(value) is written as what cannot be read") }
    expect(again.bytes == written && again == value, "\(value) was written, and read as \(again)")
    let depth = depth(value)
    expect(depth <= 64, "nested \(depth) deep")
    expect(depth == 0 || parsed(written, depth: depth) != nil, "\(depth) levels are not read as such")
    expect(depth == 0 || parsed(written, depth: depth - 1) == nil, "\(depth) levels are read as \(depth - 1)")
  }
  checkScanner(input, value)
  checkStrings(input)
}

private func parsed(_ bytes: [UInt8], depth: Int = 64) -> JSON? {
  unsafe try? JSON.parse(bytes.span.bytes, depth: depth)
}

private func depth(_ value: JSON) -> Int {
  switch value {
  case .null, .bool, .integer, .unsigned, .double, .string: 0
  case .array(let elements): 1 + (elements.map(depth).max() ?? 0)
  case .object(let members): 1 + (members.map { depth($0.value) }.max() ?? 0)
  }
}

// MARK: - Scanner

private func checkScanner(_ input: [UInt8], _ value: JSON?) {
  let members = unsafe try? JSONScanner.members(of: input.span.bytes)
  let elements = unsafe try? JSONScanner.elements(of: input.span.bytes)
  switch value {
  case .object(let expected):
    guard let members else { fatalError("an object that is read is not scanned") }
    expect(elements == nil, "an object is scanned as an array")
    for member in expected { check(member, in: input, members) }
    let missing = unsafe try? JSONScanner.member("\u{1}\u{2}missing", of: input.span.bytes)
    let isThere = expected.contains { $0.key == "\u{1}\u{2}missing" }
    expect(missing == .some(nil) || isThere, "a member that is not there is found")
    let first = unsafe JSONScanner.firstName(of: input.span.bytes)
    expect(
      first.map { $0.utf8.elementsEqual(members[0].key.utf8) } ?? members.isEmpty,
      "the first name is \(first ?? "none")")
  case .array(let expected):
    guard let elements else { fatalError("an array that is read is not scanned") }
    expect(members == nil, "an array is scanned as an object")
    expect(elements.map { parsed(Array(input[$0])) } == expected, "the elements of \(expected) are others")
  case .null, .bool, .integer, .unsigned, .double, .string, nil:
    expect(members == nil && elements == nil, "what is not read is scanned")
    let member = unsafe try? JSONScanner.member("a", of: input.span.bytes)
    expect(member == nil, "a member of what is no object")
  }
}

private func check(_ member: JSON.Member, in input: [UInt8], _ members: [(key: String, value: Range<Int>)]) {
  let last = members.last { $0.key.utf8.elementsEqual(member.key.utf8) }
  let found = unsafe try? JSONScanner.member(member.key, of: input.span.bytes)
  expect(found == last?.value, "the member \(member.key) stands at \(String(describing: found))")
  guard let last else { fatalError("the member \(member.key) is not scanned") }
  expect(parsed(Array(input[last.value])) == member.value, "the member \(member.key) has another value")
}

// MARK: - Strings and numbers

/// Any text can be written as a string, and a number is read alone as it is within a text.
private func checkStrings(_ input: [UInt8]) {
  let string = String(decoding: input, as: UTF8.self)
  var quoted: [UInt8] = []
  JSONText.append(string: string, to: &quoted)
  guard case .string(let read) = parsed(quoted) else {
    fatalError("\(string.debugDescription) is not read back")
  }
  expect(
    read.utf8.elementsEqual(string.utf8), "\(string.debugDescription) is read as \(read.debugDescription)")
  switch JSON.readNumber(string) {
  case .notANumber, .outOfRange: break
  case .number(let number): expect(parsed(Array(string.utf8)) == number, "\(string) alone is \(number)")
  }
}
