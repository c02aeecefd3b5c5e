import TestSupport
import Testing

@testable import JSON

private func parse(_ text: String, depth: Int = 64) throws(JSONFault) -> JSON {
  try unsafe JSON.parse(Array(text.utf8).span.bytes, depth: depth)
}

private func member(_ name: String, _ text: String) throws(JSONFault) -> String? {
  let bytes = Array(text.utf8)
  return try unsafe JSONScanner.member(name, of: bytes.span.bytes).map {
    String(decoding: bytes[$0], as: UTF8.self)
  }
}

struct JSONTests {
  static let good: [(String, JSON)] = [
    ("null", .null), (" true ", .bool(true)), ("false", .bool(false)), ("0", .integer(0)),
    ("-12", .integer(-12)),
    ("9223372036854775807", .integer(.max)), ("1.5", .double(1.5)), ("1e3", .double(1000)),
    ("-0.0", .double(-0.0)),
    (#""a\"\\\/\b\f\n\r\tz""#, .string("a\"\\/\u{8}\u{C}\n\r\tz")), (#""\u00e9\ud83d\ude00""#, .string("é😀")),
    ("\"é😀\"", .string("é😀")), ("[]", .array([])),
    ("[1, [2]]", .array([.integer(1), .array([.integer(2)])])),
    ("{}", .object([])),
    (
      #"{"a": 1, "b": {"c": null}}"#,
      .object([
        .init(key: "a", value: .integer(1)), .init(key: "b", value: .object([.init(key: "c", value: .null)])),
      ])
    ),
    (#"{"a": 1, "a": 2}"#, .object([.init(key: "a", value: .integer(2))])),
  ]

  static let bad = [
    "", " ", "nul", "tru", "True", "NaN", "Infinity", "01", "+1", "-", "1.", ".5", "1e", "1e+", "0x1", "'a'",
    "\"a",
    "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"a\nb\"", "[1,]", "[1 2]",
    "[", "[1",
    "{", "{a: 1}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\" 1}", "{} {}", "1 2", "18446744073709551616",
    "1e999",
  ]

  @Test(arguments: good)
  func `a text of RFC 8259 becomes its value, and back`(_ row: (String, JSON)) throws {
    #expect(try parse(row.0) == row.1)
    #expect(try parse(row.1.text) == row.1)
  }

  @Test(arguments: bad)
  func `everything else is a fault, for the reader and the scanner alike`(_ row: String) {
    #expect(throws: JSONFault.self) { try parse(row) }
    #expect(throws: JSONFault.self) { try member("m", "{\"m\": \(row)}") }
  }

  @Test(
    arguments: [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE2, 0x82]] as [[UInt8]]
  )
  func `invalid UTF-8 is a fault`(_ bytes: [UInt8]) {
    let quoted = [0x22] + bytes + [0x22]
    #expect(throws: JSONFault.self) { try unsafe JSON.parse(quoted.span.bytes) }
  }

  @Test func `nesting is bounded`() throws {
    let nested = String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)
    #expect(throws: JSONFault.self) { try parse(nested) }
    #expect(throws: JSONFault.self) { try member("a", "{\"a\":" + nested + "}") }
    #expect(try parse("[[1]]", depth: 2) == .array([.array([.integer(1)])]))
    #expect(throws: JSONFault.self) { try parse("[[1]]", depth: 1) }
  }
}

struct JSONScannerTests {
  @Test func `the first name is seen at a glance`() {
    func firstName(_ text: String) -> String? {
      unsafe JSONScanner.firstName(of: Array(text.utf8).span.bytes)
    }
    #expect(firstName(#" { "a" : rubbish"#) == "a")
    #expect(firstName(#"{"\u0061b": 1}"#) == "ab")
    for text in ["", "{", "{}", "[\"a\"]", "{a: 1}", #"{"a"#, #""a""#] {
      #expect(firstName(text) == nil, "\(text)")
    }
  }

  @Test func `a member's value is found as it stands`() throws {
    #expect(
      try member("message", #"{"x": [1, {"message": 2}], "message":  {"a": "}"} , "y": 0}"#) == #"{"a": "}"}"#
    )
    #expect(try member("message", #"{"message": 1, "message": "b"}"#) == #""b""#)
    #expect(try member("message", #"{"mess\u0061ge": true}"#) == "true")
    #expect(try member("message", "{}") == nil)
  }

  @Test func `what is not an object is a fault`() {
    for text in ["[]", "1", "\"message\"", "", "{\"message\": 1} x"] {
      #expect(throws: JSONFault.self) { try member("message", text) }
    }
  }

  @Test func `the scanner is as strict as the reader`() throws {
    var generator = SplitMix(seed: 7)
    let pieces = [
      "{", "}", "[", "]", ",", ":", "\"a\"", "\"message\"", "1", "-", "0", "2.5", "e1", "true", "null", " ",
      "\"", "\\n",
    ]
    for _ in 0..<20_000 {
      let body = (0..<Int.random(in: 1...8, using: &generator)).map { _ in
        pieces.randomElement(using: &generator) ?? ""
      }.joined()
      let object = "{\"k\":\(body)}"
      let isRead = (try? parse(object)) != nil
      let isScanned = (try? member("k", object)) != nil
      #expect(isRead == isScanned, "\(object)")
    }
  }
}

struct JSONPartsTests {
  private func text(_ text: String, _ range: Range<Int>) -> String {
    String(decoding: Array(text.utf8)[range], as: UTF8.self)
  }

  @Test func `members and elements are found where they stand`() throws {
    let object = #" {"a" : [1, {"b": 2}] , "\u0061": "x\"y" ,"c":-1.5e3} "#
    let members = try unsafe JSONScanner.members(of: Array(object.utf8).span.bytes)
    #expect(members.map(\.key) == ["a", "a", "c"])
    #expect(members.map { text(object, $0.value) } == [#"[1, {"b": 2}]"#, #""x\"y""#, "-1.5e3"])
    let array = " [1, [2] ,\"3\"] "
    let elements = try unsafe JSONScanner.elements(of: Array(array.utf8).span.bytes)
    #expect(elements.map { text(array, $0) } == ["1", "[2]", "\"3\""])
  }

  @Test(arguments: ["[]", "{} x", "{\"a\":}", "{\"a\":1e999}", "nul", ""])
  func `what is no object has no members`(_ text: String) {
    #expect(throws: JSONFault.self) { try unsafe JSONScanner.members(of: Array(text.utf8).span.bytes) }
  }

  @Test(arguments: ["{}", "[] x", "[1,]", "[1e999]", "nul", ""])
  func `what is no array has no elements`(_ text: String) {
    #expect(throws: JSONFault.self) { try unsafe JSONScanner.elements(of: Array(text.utf8).span.bytes) }
  }
}

struct JSONNumberTests {
  static let table: [(String, JSON.NumberReading)] = [
    ("0", .number(.integer(0))), ("-7", .number(.integer(-7))),
    ("18446744073709551615", .number(.unsigned(.max))), ("18446744073709551616", .outOfRange),
    ("1.5e3", .number(.double(1500))), ("1e999", .outOfRange), ("01", .notANumber), ("0x1f", .notANumber),
    ("+1", .notANumber), (".5", .notANumber), ("5.", .notANumber), ("1_000", .notANumber), ("", .notANumber),
    ("1 ", .notANumber),
  ]

  @Test(arguments: table)
  func `a text is a number where JSON writes it so`(_ row: (String, JSON.NumberReading)) {
    #expect(JSON.readNumber(row.0) == row.1)
  }
}
