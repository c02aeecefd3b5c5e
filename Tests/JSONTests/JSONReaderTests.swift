import TestSupport
import Testing

@testable import JSON

private func parse(_ text: String) throws(JSONFault) -> JSON {
  try unsafe JSON.parse(Array(text.utf8).span.bytes)
}

private func isScanned(_ bytes: [UInt8]) -> Bool {
  (try? unsafe JSONScanner.member("m", of: bytes.span.bytes)) != nil
}

struct JSONReaderTests {
  static let faults: [(String, JSONFault)] = [
    ("", JSONFault(message: "a value is missing", offset: 0)),
    ("  nul", JSONFault(message: "a value is missing", offset: 2)),
    ("[1,]", JSONFault(message: "a value is missing", offset: 3)),
    ("[1 2]", JSONFault(message: "a comma or the end is missing", offset: 3)),
    ("[1", JSONFault(message: "the end is missing", offset: 2)),
    ("{1:2}", JSONFault(message: "a member's name in quotes is missing", offset: 1)),
    ("{\"a\" 1}", JSONFault(message: "a colon is missing", offset: 5)),
    ("\"abcdefghij\u{1}\"", JSONFault(message: "a control character in a string", offset: 11)),
    ("\"\\x\"", JSONFault(message: "an unknown escape", offset: 1)),
    ("\"\\", JSONFault(message: "an escape is cut off", offset: 1)),
    ("\"\\u12G4\"", JSONFault(message: "an escape is not \\u and 4 digits", offset: 1)),
    ("\"\\uD834\"", JSONFault(message: "half a surrogate pair", offset: 1)),
    ("\"open", JSONFault(message: "a string's closing quote is missing", offset: 5)),
    ("[-]", JSONFault(message: "a value is missing", offset: 1)),
    ("1.", JSONFault(message: "a digit is missing", offset: 2)),
    (
      " 1e999",
      JSONFault(
        message: "JSON with a number that is too large", offset: 1, isOfJSON: true,
        remedy: "send the number as a string")
    ),
    (
      "18446744073709551616",
      JSONFault(
        message: "JSON with an integer that does not fit into 64 bits", offset: 0, isOfJSON: true,
        remedy: "send the number as a string")
    ),
    (
      "\u{FEFF}{}",
      JSONFault(
        message: "a byte order mark stands before the text", offset: 0, remedy: "send UTF-8 without one")
    ),
    ("1 2", JSONFault(message: "more after the value", offset: 2)),
  ]

  @Test(arguments: faults)
  func `a fault says what is wrong and where`(_ row: (String, JSONFault)) {
    #expect(throws: row.1) { try parse(row.0) }
  }

  static let numbers: [(String, JSON?)] = [
    ("-0", .integer(0)),
    ("-9223372036854775808", .integer(.min)),
    ("9223372036854775808", .unsigned(9_223_372_036_854_775_808)),
    ("-9223372036854775809", nil),
    ("999999999999999999", .integer(999_999_999_999_999_999)),
    ("1E+2", .double(100)),
    ("1e-2", .double(0.01)),
    ("1.7976931348623157e308", .double(.greatestFiniteMagnitude)),
    ("1.8e308", nil),
    ("1e-999", .double(0)),
    (String(repeating: "9", count: 309) + ".0", nil),
    (String(repeating: "0", count: 2), nil),
    ("0." + String(repeating: "0", count: 400) + "1", .double(0)),
  ]

  @Test(arguments: numbers)
  func `a number is what Int64 or a finite Double can hold`(_ row: (String, JSON?)) {
    #expect((try? parse(row.0)) == row.1)
    #expect(isScanned(Array("{\"m\":\(row.0)}".utf8)) == (row.1 != nil))
  }

  @Test func `what stops the eight-byte steps is seen at every place`() {
    for length in 0...20 {
      for place in 0..<length {
        for special: [UInt8] in [[0x1F], [0x22], [0x5C], [0x80], [0x00], [0xC3]] {
          var inner = [UInt8](repeating: 0x61, count: length)
          inner.replaceSubrange(place...place, with: special)
          let quoted = [0x22] + inner + [0x22]
          #expect(throws: JSONFault.self) { try unsafe JSON.parse(quoted.span.bytes) }
        }
      }
    }
  }

  @Test func `every character of one string arrives`() throws {
    let all = String(
      String.UnicodeScalarView((0x20...0x10FFFF as ClosedRange<UInt32>).lazy.compactMap(Unicode.Scalar.init)))
    var bytes: [UInt8] = []
    JSONText.append(string: all, to: &bytes)
    guard case .string(let read) = try unsafe JSON.parse(bytes.span.bytes) else {
      Issue.record("not a string")
      return
    }
    #expect(read.utf8.elementsEqual(all.utf8))
  }

  @Test func `keys that only look the same are different keys`() throws {
    let composed = "\u{E9}"
    let decomposed = "e\u{301}"
    let value = try parse("{\"\(composed)\":1,\"\(decomposed)\":2}")
    #expect(value[composed] == .integer(1))
    #expect(value[decomposed] == .integer(2))
    let bytes = Array("{\"\\u00e9\":1}".utf8)
    #expect(try unsafe JSONScanner.member(composed, of: bytes.span.bytes) == 10..<11)
    #expect(try unsafe JSONScanner.member(decomposed, of: bytes.span.bytes) == nil)
  }

  @Test func `the last of equal keys counts, at the place of the first`() throws {
    let value = try parse(#"{"a":1,"b":2,"\u0061":3}"#)
    #expect(
      value == .object([.init(key: "a", value: .integer(3)), .init(key: "b", value: .integer(2))]))
  }

  @Test func `the scanner has the reader's verdict on damaged texts`() {
    let text = Array(#"{"m":{"a":[1,-2.5e+3,true,null],"b":"Gr\u00fc\ud83d\ude00ße €","m":[{},[]]}}"#.utf8)
    var generator = SplitMix(seed: 9)
    for _ in 0..<20_000 {
      var damaged = text
      for _ in 0..<Int.random(in: 1...3, using: &generator) {
        let place = Int.random(in: 1..<damaged.count, using: &generator)
        switch Int.random(in: 0...2, using: &generator) {
        case 0: damaged[place] = UInt8.random(in: 0...255, using: &generator)
        case 1: damaged.remove(at: place)
        default: damaged.insert(damaged[Int.random(in: 0..<damaged.count, using: &generator)], at: place)
        }
      }
      let isRead = (try? unsafe JSON.parse(damaged.span.bytes)) != nil
      let isChecked: Bool
      do {
        _ = try unsafe JSONScanner.member("m", of: damaged.span.bytes)
        isChecked = true
      } catch {
        isChecked = false
      }
      #expect(isRead == isChecked, "\(String(decoding: damaged, as: UTF8.self))")
    }
  }
}
