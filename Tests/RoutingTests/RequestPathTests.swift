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

  @Test(arguments: [
    "/ws//staff/x", "/ws%2F/staff/x", #"/ws\staff/x"#, "/ws/%5Cstaff/x", "/ws%5cstaff/x", #"\/\ws/staff/x"#,
    "/ws/staff;a=1/x", "/ws;v=1/staff/x", "/ws/staff%3Ba/x", "/ws/%3bx/staff/x", #"/ws;a\staff/x"#,
    #"/ws;a\b/staff/x"#, "/;a//ws/;b/staff;/x;c",
  ])
  func `other servers may read it as another path`(_ target: String) throws {
    let path = try RequestPath.decode(target: Array(("/" + target.drop { $0 == "/" }).utf8)).get()
    #expect(path.otherReadings.map(\.text).contains("ws/staff/x"))
  }

  @Test func `each reading may be alone, and is there once`() throws {
    let path = try RequestPath.decode(target: Array(#"/a//b\c;d"#.utf8)).get()
    let readings = path.otherReadings.map(\.text)
    #expect(
      readings.sorted() == [
        "a//b/c", "a//b/c;d", "a//b\\c", "a/b/c", "a/b/c;d", "a/b\\c", "a/b\\c;d",
      ])
  }

  @Test(arguments: ["/", "/a/b/", "/a%2Fb", "//a/b", "/a?b;c//d"])
  func `other paths have one reading`(_ target: String) throws {
    #expect(try RequestPath.decode(target: Array(target.utf8)).get().otherReadings.isEmpty)
  }
}
