import Testing

@testable import Sessions

struct HTTPDateTests {
  @Test(arguments: [
    (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
    (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"), (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
  ])
  func `a date is written as in RFC 9110`(_ seconds: Int, _ text: String) {
    #expect(HTTPDate.text(of: seconds) == text)
    #expect(HTTPDate.seconds(of: text) == seconds)
  }

  @Test(arguments: [
    (253_402_300_800, "Fri, 31 Dec 9999 23:59:59 GMT"),
    (67_768_000_000_000_000, "Fri, 31 Dec 9999 23:59:59 GMT"),
    (.max, "Fri, 31 Dec 9999 23:59:59 GMT"), (.min, "Wed, 01 Jan 1000 00:00:00 GMT"),
  ])
  func `a year without four digits is the nearest with four`(_ seconds: Int, _ text: String) {
    #expect(HTTPDate.text(of: seconds) == text)
  }

  @Test(
    arguments: [
      ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777), ("Sun Nov  6 08:49:37 1994", 784_111_777),
      ("Fri, 01 Jan 2100 00:00:00 GMT", 4_102_444_800), ("", nil), ("yesterday", nil),
      ("Sun, 06 Nov 1994 08:49:37", nil), ("Sun, 06 Nov 1994 08:49:37 CET", nil),
      ("Sun, 32 Nov 1994 08:49:37 GMT", nil), ("Sun, 06 Nov 1994 24:49:37 GMT", nil),
      ("Sun, 06 Nov 99999999999 08:49:37 GMT", nil),
    ] as [(String, Int?)])
  func `its three forms are read, and nothing else (RFC 9110 section 5.6.7)`(_ text: String, _ seconds: Int?)
  {
    #expect(HTTPDate.seconds(of: text) == seconds)
  }
}
