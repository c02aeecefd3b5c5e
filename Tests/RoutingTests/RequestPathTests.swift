import Testing

@testable import Routing

struct RequestPathTests {
  /// RFC 3986 section 5.2.4, and what some servers do beyond it.
  @Test(arguments: [
    "/..", "/.", "/a/..", "/a/../b", "/a/./b", "/a/%2e%2E/b", "/a/.%2e", "/a/%2e./b", "/a%2F..%2fb",
    "//..//a",
    "/a/..;v=1/b", "/a/.;", #"/a\..\b"#, "/a/..%5cb", "http://host/a/../b", "/a/..?b",
  ])
  func `a segment of dots is found in every spelling`(_ target: String) throws {
    #expect(try RequestPath.decode(target: Array(target.utf8)).get().hasDotSegment)
  }

  @Test(arguments: ["/a%CC%81", "/a\u{301}", "/?a%CC%81", "/?a=\u{301}"])
  func `a run of combining marks is no path`(_ start: String) {
    let mark = start.contains("%CC%81") ? "%CC%81" : "\u{301}"
    for count in [29, 30] {
      let target = start + String(repeating: mark, count: count)
      let decoded = RequestPath.decode(target: Array(target.utf8))
      #expect((decoded == .failure(.tooManyMarks)) == (count == 30))
    }
  }

  @Test(arguments: [
    "/", "", "/a..b", "/...", "/..a", "/.well-known/x", "/a;..", "/;..", "/a?../..", "/%252e%252e/", "/a//b",
    "/é..",
  ])
  func `other dots are no segment`(_ target: String) throws {
    guard !target.isEmpty else { return #expect(!RequestPath(text: "").hasDotSegment) }
    #expect(try !RequestPath.decode(target: Array(target.utf8)).get().hasDotSegment)
  }
}
