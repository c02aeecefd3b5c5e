import Bytes
import TestSupport
import Testing

@testable import JSON

struct JSONTextTests {
  static let written: [(JSON, String)] = [
    (.null, "null"),
    (.bool(true), "true"),
    (.bool(false), "false"),
    (.integer(.min), "-9223372036854775808"),
    (.integer(0), "0"),
    (.double(0.1), "0.1"),
    (.double(-0.0), "-0.0"),
    (.double(1e300), "1e+300"),
    (.double(.leastNonzeroMagnitude), "5e-324"),
    (.string(""), "\"\""),
    (.string("a\"b\\c/d"), #""a\"b\\c/d""#),
    (.string("\u{8}\t\n\u{C}\r\u{0}\u{1F}\u{7F}"), "\"\\u0008\\t\\n\\u000c\\r\\u0000\\u001f\u{7F}\""),
    (.string("é😀\u{2028}"), "\"é😀\u{2028}\""),
    (.array([]), "[]"),
    (.array([.integer(1), .array([.null])]), "[1,[null]]"),
    (.object([]), "{}"),
    (
      .object([.init(key: "b", value: .integer(1)), .init(key: "a\n", value: .object([]))]),
      #"{"b":1,"a\n":{}}"#
    ),
  ]

  @Test(arguments: written)
  func `a value is written compactly, in the order it has`(_ row: (JSON, String)) {
    #expect(row.0.text == row.1)
  }

  @Test func `bytes of a text are written as the text is`() throws {
    var generator = SplitMix(seed: 7)
    let letters: [Character] = ["a", "z", "\"", "\\", "\n", "\u{1}", "\u{1F}", " ", "!", "é", "😀", "\u{7F}"]
    for length in 0..<40 {
      let text = String((0..<length).map { _ in letters[Int(generator.next() % UInt64(letters.count))] })
      var written: [UInt8] = []
      JSONText.append(utf8: Array(text.utf8).rawBytes, to: &written)
      #expect(written == JSON.string(text).bytes)
    }
  }

  @Test(arguments: [Double.nan, .infinity, -.infinity])
  func `a number that JSON has no word for becomes null`(_ value: Double) {
    #expect(JSON.array([.double(value)]).text == "[null]")
  }

  @Test func `any finite number reads back as itself`() throws {
    var generator = SplitMix(seed: 5)
    for _ in 0..<5_000 {
      let value = Double(bitPattern: generator.next())
      guard value.isFinite else { continue }
      #expect(try unsafe JSON.parse(JSON.double(value).bytes.span.bytes) == .double(value))
    }
  }
}
