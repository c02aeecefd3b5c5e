import Testing

@testable import Gateway

struct ByteRangeTests {
  @Test(arguments: [
    ("bytes=0-0", 10, ByteRange.part(0...0)), ("bytes=-1", 1, .part(0...0)), ("bytes=-5", 3, .part(0...2)),
    ("bytes=0-", 0, .unsatisfiable), ("bytes=-1", 0, .unsatisfiable), ("bytes=3-", 3, .unsatisfiable),
    ("bytes=99999999999999999999-99999999999999999999", 3, .unsatisfiable), ("bytes=1-0", 3, .notUnderstood),
    ("bytes= 0-1", 3, .notUnderstood), ("bytes", 3, .notUnderstood), ("", 3, .notUnderstood),
    ("bytes=0-1,", 3, .notUnderstood), ("bytes=--1", 3, .notUnderstood),
  ])
  func `a range is read as in RFC 9110`(_ field: String, _ size: Int, _ range: ByteRange) {
    #expect(ByteRange(field, size: size) == range)
  }
}
