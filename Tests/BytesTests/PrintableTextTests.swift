import Bytes
import Testing

struct PrintableTextTests {
  @Test(arguments: [
    ("plain \"text\" = é 日本 🙂", "plain \"text\" = é 日本 🙂"), ("\u{1b}[2J", "\\u{1b}[2J"),
    ("a\r\nb", "a\\u{d}\\u{a}b"),
    ("\u{202e}", "\\u{202e}"), ("\u{2800}", "\\u{2800}"), ("\u{3164}", "\\u{3164}"), ("\u{34f}", "\\u{34f}"),
    ("\u{e000}", "\\u{e000}"), ("\u{10ffff}", "\\u{10ffff}"), ("e\u{301}", "e\u{301}"),
  ])
  func `what a reader does not see is written out`(_ text: String, _ printable: String) {
    #expect(Array(text.printable.utf8) == Array(printable.utf8))
  }

  @Test func `lines stay lines`() {
    #expect("a\u{1b}[2J\n\nb\r\n".printableLines == "a\\u{1b}[2J\n\nb\\u{d}\n")
  }

  @Test func `JSON means the same`() {
    let text = #"{"a":"\#u{9b}2J\#u{202e}\#u{e0001}é"}"#
    #expect((text + "\n").printableJSON == #"{"a":"\u009b2J\u202e\udb40\udc01é"}"# + "\n")
  }
}
