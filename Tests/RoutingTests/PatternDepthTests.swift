import TestSupport
import Testing

@testable import Routing

/// Patterns as deep and as long as they may be, on half of a reactor's stack: the parser, what walks through expressions, the
/// compiler and freeing recurse.
struct PatternDepthTests {
  private static func regex(_ text: String) -> RoutePattern? {
    try? RoutePattern.parse(text, as: .regex, role: .endpoint).get()
  }

  private static func nested(_ depth: Int) -> String {
    "^" + String(repeating: "(?:a|(?:b)*|", count: depth / 2) + "c"
      + String(repeating: ")?", count: depth / 2)
      + "$"
  }

  @Test func `the deepest groups are compiled, matched and freed on half of a reactor's stack`() {
    let winner = SmallStack.run { () -> Bool in
      guard let one = Self.regex(Self.nested(98)), let other = Self.regex(Self.nested(98)) else {
        return false
      }
      let route = RoutePath([one])
      guard one.expression == other.expression, one.expression.hashValue == other.expression.hashValue else {
        return false
      }
      _ = one.expression.withoutCaptures.withoutAssertions.limited(to: .word)
      return Router([route]).match(RequestPath(text: "/c")) != nil
    }
    #expect(winner == true)
    #expect(
      SmallStack.run {
        Self.regex("^" + String(repeating: "(", count: 51) + String(repeating: ")", count: 51)) == nil
      } == true)
    #expect(SmallStack.run { Self.regex("^" + String(repeating: "(", count: 100_000)) == nil } == true)
  }

  @Test func `fifty named groups inside each other are captured on half of a reactor's stack`() {
    let text =
      "^" + (0..<50).map { "(?P<g\($0)>" }.joined() + "[a-z]+" + String(repeating: ")", count: 50) + "$"
    let matches = SmallStack.run { () -> Bool in
      guard let pattern = Self.regex(text) else { return false }
      return Router([RoutePath([pattern])]).match(RequestPath(text: "/abc")) != nil
    }
    #expect(matches == true)
  }

  @Test func `the most captures behind what matches anything are no recursion`() {
    let text = ".*" + (0..<370).map { "(?P<g\($0)>)" }.joined()
    let isCompiled = SmallStack.run(bytes: 256 << 10) { () -> Bool in
      guard let pattern = Self.regex(text) else { return false }
      return !Program(RoutePath([pattern])).isTooLarge
    }
    #expect(isCompiled == true)
  }
}

struct HexadecimalEscapeTests {
  /// Python refuses a sign too: `re.compile(r"\x+f")`.
  @Test func `an escape has digits only`() {
    for (text, isValid) in [
      (#"^\x41$"#, true), (#"^\x+f$"#, false), (#"^\u-041$"#, false), (#"^\x4$"#, false),
    ] {
      let result = RoutePattern.parse(text, as: .regex, role: .endpoint)
      #expect(((try? result.get()) != nil) == isValid, "\(text)")
    }
  }
}
