import JSON
import TestSupport
import Testing

/// Values as deep as they may be, on half of a reactor's stack: reading, checking, writing, comparing, hashing and freeing recurse.
struct JSONDepthTests {
  private static let deepest = 64

  private static func nested(_ depth: Int, _ open: String, _ close: String) -> [UInt8] {
    Array((String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)).utf8)
  }

  private static func parse(_ text: [UInt8]) -> JSON? {
    try? unsafe JSON.parse(text.span.bytes)
  }

  private static func member(_ text: [UInt8]) -> Range<Int>? {
    try? unsafe JSONScanner.member("a", of: text.span.bytes)
  }

  @Test(arguments: [("[", "]"), (#"{"a":"#, "}"), (#"[{"a":"#, "}]")])
  func `the deepest value is read, written, compared and freed on half of a reactor's stack`(
    _ open: String, _ close: String
  ) {
    let depth = Self.deepest / (open.count == 6 ? 2 : 1)
    let fits = SmallStack.run {
      let text = Self.nested(depth, open, close)
      guard let one = Self.parse(text), let other = Self.parse(text) else { return false }
      var written: [UInt8] = []
      one.append(to: &written)
      return one == other && one.hashValue == other.hashValue && Self.parse(written) == one
    }
    #expect(fits == true)
    #expect(SmallStack.run { Self.parse(Self.nested(depth + 1, open, close)) } == .some(nil))
  }

  @Test func `the deepest value is checked on half of a reactor's stack, and a deeper one is refused`() {
    let found = SmallStack.run { Self.member(Self.nested(Self.deepest, #"{"a":"#, "}")) }
    #expect(found != .some(nil))
    #expect(SmallStack.run { Self.member(Self.nested(Self.deepest + 1, #"{"a":"#, "}")) } == .some(nil))
  }

  @Test func `many members with one key take time in proportion to their number`() {
    func time(_ count: Int) -> Duration {
      let text = Array(("{" + (0..<count).map { "\"k\($0 % 1000)\":1" }.joined(separator: ",") + "}").utf8)
      return processorTime { _ = Self.parse(text) }
    }
    _ = time(1000)
    let (small, large) = (time(10_000), time(80_000))
    // Eight times as many: in proportion it is 8, and 64 where each is compared with all before it.
    #expect(large < small * 24)
  }
}
