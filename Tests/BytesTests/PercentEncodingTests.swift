import Bytes
import TestSupport
import Testing

struct PercentEncodingTests {
  /// The text, what it is if every `%` must be right, and what it is if a wrong one stands for itself.
  @Test(arguments: [
    ("", "", ""), ("plain+text", "plain+text", "plain+text"), ("a%20b%2Fc", "a b/c", "a b/c"),
    ("%c3%A9", "é", "é"), ("%", nil, "%"), ("a%4", nil, "a%4"), ("%zz%41", nil, "%zzA"), ("%%41", nil, "%A"),
    // `UInt8(_:radix:)` reads a sign as a part of the number.
    ("%+f", nil, "%+f"), ("%-0", nil, "%-0"),
  ])
  func `a percent sign needs two digits`(_ row: (text: String, strict: String?, lenient: String)) {
    #expect(PercentEncoding.decode(row.text.utf8) == row.strict.map { Array($0.utf8) })
    #expect(PercentEncoding.decodeLeniently(row.text.utf8) == Array(row.lenient.utf8))
  }

  @Test func `a plus is a space only in a form`() {
    #expect(PercentEncoding.decode("a+b%2B".utf8) == Array("a+b+".utf8))
    #expect(PercentEncoding.decode("a+b%2B".utf8, plus: .space) == Array("a b+".utf8))
  }

  @Test func `any text comes back`() {
    var generator = SplitMix(seed: 7)
    for _ in 0..<500 {
      let text = String(
        (0..<8).compactMap { _ in Unicode.Scalar(UInt32.random(in: 0..<0x300, using: &generator)) }.map(
          Character.init))
      for encoded in [text.percentEncodedPath, text.percentEncodedComponent] {
        #expect(encoded.utf8.allSatisfy { (0x21...0x7E).contains($0) })
        #expect(PercentEncoding.decode(encoded.utf8) == Array(text.utf8))
      }
    }
  }

  @Test func `a path keeps its slashes, and a component does not`() {
    #expect("/a b/~c.é".percentEncodedPath == "/a%20b/~c.%C3%A9")
    #expect("/run/s.sock".percentEncodedComponent == "%2Frun%2Fs%2Esock")
  }
}

struct NamedValueTests {
  private func pairs(_ values: [NamedValue]) -> [String] { values.map { "\($0.name)|\($0.value ?? "-")" } }

  @Test func `a query is a list of names and values`() {
    #expect(pairs(NamedValue.parameters(of: "a=1&b&c=&=d&&e=x=y")) == ["a|1", "b|-", "c|", "|d", "e|x=y"])
    #expect(NamedValue.parameters(of: nil).isEmpty)
    #expect(NamedValue.parameters(of: "").isEmpty)
    #expect(pairs(NamedValue.parameters(of: " a =1")) == [" a |1"])
  }

  @Test func `spaces before a cookie are not a part of its name`() {
    #expect(pairs(NamedValue.cookies(of: "a=1; \tb=2;c")) == ["a|1", "b|2", "c|-"])
  }

  /// `Character` would take the mark and the sign before it for one.
  @Test func `a combining mark behind a sign does not hide the sign`() {
    #expect(pairs(NamedValue.parameters(of: "a=\u{301}1&\u{301}b=2")) == ["a|\u{301}1", "\u{301}b|2"])
  }

  @Test func `names are compared byte by byte`() {
    let parameter = NamedValue("\u{E9}=1")
    #expect(parameter.isNamed("\u{E9}"))
    #expect(!parameter.isNamed("e\u{301}"))
  }
}

struct BearerTokenTests {
  @Test(arguments: [
    ("Bearer abc", "abc"), ("bearer   abc", "abc"), ("BEARER a b", "a b"), ("Bearer", nil), ("Bearer ", nil),
    ("Bearerabc", nil), ("Basic abc", nil), ("", nil), ("Bearer\tabc", nil),
  ])
  func `a token follows the scheme and a space`(_ row: (field: String, token: String?)) {
    #expect(BearerToken.read(row.field) == row.token)
  }
}
