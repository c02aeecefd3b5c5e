import Bytes
import Testing

struct CombiningMarksTests {
  @Test(arguments: [
    ("", false), ("plain", false), (String(repeating: "é", count: 100), false),
    ("a" + String(repeating: "\u{301}", count: 30), false),
    ("a" + String(repeating: "\u{301}", count: 31), true),
    (String(repeating: "\u{301}", count: 31), true),
    (String(repeating: "a\u{301}\u{316}", count: 100), false),
    ("a" + String(repeating: "\u{301}", count: 20) + String(repeating: "\u{316}", count: 20), true),
    (String(repeating: "\u{1F468}\u{200D}", count: 50), false), (String(repeating: "한", count: 50), false),
  ])
  func `a run has a bound, and a text has none`(_ row: (text: String, isTooLong: Bool)) {
    #expect(row.text.hasTooManyMarks == row.isTooLong)
    #expect(row.text[...].hasTooManyMarks == row.isTooLong)
  }
}
