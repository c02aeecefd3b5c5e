import Routing
import Testing
import WebSocketCore

@testable import GatewayConfig
@testable import Sessions

struct QuestionTests {
  private static let upstream = UpstreamConfiguration(scheme: .http, host: "127.0.0.1", port: 8001)

  private func question(path: [TextTemplate.Part]?, query: [TextTemplate.Part]? = nil)
    -> QuestionConfiguration
  {
    var upstream = Self.upstream
    upstream.path = path.map(TextTemplate.init)
    return QuestionConfiguration(url: upstream, query: query.map(TextTemplate.init), headers: [])
  }

  private func captures(_ values: (String, String)...) -> Captures {
    Captures(values.map { Captures.Capture(name: $0.0, value: $0.1) })
  }

  /// What a client could write, and what becomes of it as one segment.
  static let segments: [(String, String?)] = [
    ("5", "5"), ("a b", "a%20b"), ("a/b", "a%2Fb"), ("a?b=c", "a%3Fb%3Dc"), ("a#b", "a%23b"),
    ("%2e%2e", "%252e%252e"), ("a;b", "a%3Bb"), ("a\\b", "a%5Cb"), ("a&b", "a%26b"), ("é", "%C3%A9"),
    ("a\r\nX: y", "a%0D%0AX%3A%20y"), ("...", "..."), ("@evil.test", "%40evil.test"),
    ("", nil), (".", nil), ("..", nil), ("a/../b", nil), ("..\\b", nil), ("..;x", nil), ("../", nil),
  ]

  @Test(arguments: segments)
  func `a capture is one segment`(_ value: String, _ segment: String?) {
    let question = question(path: [.literal("/api/"), .place("room"), .literal("/may/")])
    let target = question.target(for: captures(("room", value)), long: [])
    #expect(target == segment.map { "/api/\($0)/may/" })
  }

  @Test func `a long capture may be several segments`() {
    let question = question(path: [.literal("/files/"), .place("name")])
    func target(_ value: String) -> String? {
      question.target(for: captures(("name", value)), long: ["name"])
    }
    #expect(target("a/b c/d") == "/files/a/b%20c/d")
    for value in ["a//b", "/a", "a/", "a/../b", "a/./b", ".."] { #expect(target(value) == nil, "\(value)") }
  }

  @Test func `places together make no other path`() {
    let two = question(path: [.literal("/a/"), .place("x"), .place("y"), .literal("/b")])
    #expect(two.target(for: captures(("x", "a"), ("y", "b")), long: []) == "/a/ab/b")
    let behind = question(path: [.literal("/a/."), .place("x"), .literal("/b")])
    #expect(behind.target(for: captures(("x", "hidden")), long: []) == "/a/.hidden/b")
    // A capture that took no part in the match.
    #expect(behind.target(for: captures(), long: []) == nil)
  }

  @Test func `a capture in the query is one value, and may be empty`() {
    let query = question(
      path: [.literal("/may/")], query: [.literal("room="), .place("room"), .literal("&a=1")])
    #expect(
      query.target(for: captures(("room", "x&a=2#/..")), long: []) == "/may/?room=x%26a%3D2%23%2F..&a=1")
    #expect(query.target(for: captures(("room", "")), long: []) == "/may/?room=&a=1")
    #expect(question(path: nil).target(for: captures(), long: []) == "/")
  }

  @Test func `everything that a view sees is in the key`() {
    func key(_ target: String, _ fields: [(String, String)]) -> Question.Key {
      Question(target: target, fields: fields.map { HeaderField(name: $0.0, value: $0.1) }).key
    }
    let one = key("/a", [("Host", "one"), ("Cookie", "s=1")])
    #expect(one == key("/a", [("Host", "one"), ("Cookie", "s=1")]))
    #expect(one != key("/b", [("Host", "one"), ("Cookie", "s=1")]))
    #expect(one != key("/a", [("Host", "two"), ("Cookie", "s=1")]))
    #expect(one != key("/a", [("Host", "one"), ("Cookie", "s=2")]))
    #expect(one != key("/a", [("Host", "one"), ("Cookie", "s=1"), ("Cookie", "")]))
    #expect(one != key("/a", [("Host", "oneCookie"), ("", "s=1")]))
  }
}

struct RequestPlaceTests {
  private func uri(_ target: String, without names: [String] = []) -> String {
    RequestPlace(target: Array(target.utf8)).uri(without: names)
  }

  @Test func `the target is told of as it was sent`() {
    #expect(uri("/ws/a%20b/?x=1&y") == "/ws/a%20b/?x=1&y")
    #expect(uri("http://host.test/ws/?x=1") == "/ws/?x=1")
    #expect(uri("http://host.test?x=1") == "/?x=1")
    #expect(uri("http://host.test") == "/")
    #expect(RequestPlace(target: [0x2F, 0xFF, 0x0A]).uri(without: []) == "/%FF%0A")
  }

  @Test func `a parameter with a token is cut`() {
    #expect(uri("/ws/?token=abc", without: ["token"]) == "/ws/")
    #expect(uri("/ws/?a=1&token=abc&b=2", without: ["token"]) == "/ws/?a=1&b=2")
    #expect(uri("/ws/?token=a&a=1&token=b&token", without: ["token"]) == "/ws/?a=1")
    #expect(uri("/ws/?xtoken=abc&tokens=1", without: ["token"]) == "/ws/?xtoken=abc&tokens=1")
    #expect(uri("/ws/?a=1&&b", without: ["token"]) == "/ws/?a=1&&b")
    #expect(uri("/ws/token=abc", without: ["token"]) == "/ws/token=abc")
  }
}
