import TestSupport
import Testing

@testable import WebSocketCore

struct ExtensionOfferTests {
  // MARK: RFC 6455 section 9.1

  @Test(
    arguments: [
      ([], []),
      (["foo"], [ExtensionOffer("foo")]),
      (["foo; bar; baz=2"], [ExtensionOffer("foo", [.init("bar"), .init("baz", "2")])]),
      (["foo;bar ;  baz = 2\t"], [ExtensionOffer("foo", [.init("bar"), .init("baz", "2")])]),
      (["foo; baz=\"2\""], [ExtensionOffer("foo", [.init("baz", "2")])]),
      (["foo; baz=\"a\\bc\""], [ExtensionOffer("foo", [.init("baz", "abc")])]),
      (["foo, bar; baz"], [ExtensionOffer("foo"), ExtensionOffer("bar", [.init("baz")])]),
      (
        ["foo", "bar; x, foo"],
        [ExtensionOffer("foo"), ExtensionOffer("bar", [.init("x")]), ExtensionOffer("foo")]
      ),
      (["", " , foo,, bar, "], [ExtensionOffer("foo"), ExtensionOffer("bar")]),
      (["foo; a; a=1"], [ExtensionOffer("foo", [.init("a"), .init("a", "1")])]),
    ] as [([String], [ExtensionOffer])])
  func `a list is read in its order`(_ values: [String], _ offers: [ExtensionOffer]) {
    #expect(ExtensionOffer.parse(values) == offers)
  }

  @Test(arguments: [
    "foo bar", "foo;", "foo; ; a", "; a", "=1", "foo; =1", "foo; a=", "foo; a==1", "foo=1", "foo; a=\"\"",
    "foo; a=\"1", "foo; a=\"1 2\"", "foo; a=\"1,2\"", "foo; a=\"1\\", "foo; a=\"1\"2", "foo; a=1 2",
    "f\"oo\"",
    "foo/1", "foo; ä",
  ])
  func `what does not follow the grammar is no list`(_ value: String) {
    #expect(ExtensionOffer.parse([value]) == nil)
    #expect(ExtensionOffer.parse(["fine", value]) == nil)
  }

  @Test func `no text whatever does harm`() {
    var generator = SplitMix(seed: 5)
    let signs = Array("ab;,=\" \t\\\u{e4}1")
    for _ in 0..<20_000 {
      let text = String(
        (0..<Int.random(in: 0...24, using: &generator)).compactMap { _ in
          signs.randomElement(using: &generator)
        })
      for offer in ExtensionOffer.parse([text]) ?? [] {
        #expect(!offer.name.isEmpty)
        #expect(offer.parameters.allSatisfy { !$0.name.isEmpty && $0.value != "" })
      }
    }
  }
}
